import { expect, test } from "vitest";
import { fieldName } from "../../../src/http/field-name.ts";

test.each([
  ["Host", "host", "host"],
  ["X_App.Id", "x_app.id", "x-app-id"],
  ["x-APP-id", "x-app-id", "x-app-id"],
  ["X~App'Id", "x~app'id", "x-app-id"],
  ["!#$%&'*+-.^_`|~0aZ", "!#$%&'*+-.^_`|~0az", "---------------0az"],
  ["", "", ""],
])("%s is %s in lower case, and %s to those who cannot tell", (spelled, lower, canonical) => {
  const isToken = spelled !== "";
  expect(fieldName(spelled)).toEqual({ spelled, lower, canonical, isToken });
  expect(fieldName(spelled)).toEqual({ spelled, lower, canonical, isToken });
});

test.each(["a b", "a:", "a\r\nb", "é", "\u010a", "a\0"])("%j is not a valid name", (text) => {
  expect(fieldName(text).isToken).toBe(false);
  expect(fieldName(text).isToken).toBe(false);
});

test("a recurring name is the same object; invented names are not kept for ever", () => {
  const first = fieldName("X-Seen-Before");
  expect(fieldName("X-Seen-Before")).toBe(first);
  for (let number = 0; number < 2_000; number += 1)
    expect(fieldName(`X-Made-Up-${number}`).lower).toBe(`x-made-up-${number}`);
  expect(fieldName("X-Seen-Before")).not.toBe(first);
  expect(fieldName("X-Seen-Before")).toEqual(first);
  const long = `X-${"a".repeat(5_000)}`;
  expect(fieldName(long)).not.toBe(fieldName(long));
});
