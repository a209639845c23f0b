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
  const read = { spelled, lower, canonical, isToken, lineStart: `\r\n${spelled}: ` };
  expect(fieldName(spelled)).toMatchObject(read);
  expect(fieldName(spelled)).toMatchObject(read);
});

test.each([
  ["Keep-Alive", true, true],
  ["Keep_Alive", false, true],
  ["x_forwarded_for", false, true],
  ["X-Request-Id", false, true],
  ["Accept", false, false],
])("%s belongs to a connection: %s, and to the gateway: %s", (spelled, isHopByHop, isOfGateway) => {
  expect(fieldName(spelled)).toMatchObject({ isHopByHop, isOfGateway });
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
