import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { type Env, interpolate } from "../../../src/config/interpolate.ts";
import { validate } from "../../../src/config/validate.ts";
import { parseYaml } from "../../../src/config/yaml-file.ts";

const env = { HOST: "example.com", PORT: "8080", EMPTY: "", TREE: "a: 1\nb: {c: 2}", SELF: "${HOST}" };
const fill = (text: string): unknown => interpolate(text, env).value;

test.each([
  ["${HOST}", "example.com"],
  ["http://${HOST}:${PORT}/", "http://example.com:8080/"],
  ["${NONE:-http://127.0.0.1:8080}", "http://127.0.0.1:8080"],
  ["${NONE:-}", ""],
  ["${EMPTY:-default}", "default"],
  ["${EMPTY}", ""],
  ["$${HOST}", "${HOST}"],
  ["$HOST costs $5", "$HOST costs $5"],
  ["${SELF}", "${HOST}"],
])("%s becomes %s", (text, filled) => {
  expect(fill(text)).toBe(filled);
});

test("the value of a variable cannot add a key", () => {
  const { file } = parseYaml("a: ${TREE}");
  expect(interpolate(file?.value, env).value).toEqual({ a: env.TREE });
});

test("keys and the parsed value are not changed", () => {
  const value = { "${HOST}": ["${PORT}"] };
  expect(interpolate(value, env).value).toEqual({ "${HOST}": ["8080"] });
  expect(value).toEqual({ "${HOST}": ["${PORT}"] });
});

test.each([
  ["${NONE}", "the environment variable NONE is not set; ${NONE:-default} would give it a default"],
  [
    "${constructor}",
    "the environment variable constructor is not set; ${constructor:-default} would give it a default",
  ],
  ["${HOST", "expected ${NAME} or ${NAME:-default}; a plain ${ is written $${"],
  ["${HO-ST}", "expected ${NAME} or ${NAME:-default}; a plain ${ is written $${"],
  ["${}", "expected ${NAME} or ${NAME:-default}; a plain ${ is written $${"],
])("%s is a problem with its place", (text, message) => {
  expect(interpolate({ a: [text] }, env).problems).toEqual([{ path: ["a", 0], message }]);
});

test("any text without a dollar sign stays as it is", () => {
  fc.assert(fc.property(fc.string(), (text) => text.includes("$") || fill(text) === text));
});

describe("a variable is a text until a number or boolean is expected", () => {
  const schema = z.strictObject({ text: z.string(), count: z.int(), isOn: z.boolean() }).partial();
  const read = (text: string, given: Env) => {
    const { file } = parseYaml(text);
    if (file === undefined) throw new Error("invalid YAML");
    return validate(file, { schema, json: () => ({}) }, given);
  };

  test("digits stay a text where a text is expected", () => {
    expect(read("text: ${V}", { V: "12345" })).toEqual({ value: { text: "12345" } });
  });

  test("numbers and booleans are read where they are expected", () => {
    const given = { N: "8000", B: "false" };
    expect(read("count: ${N}\nisOn: ${B}", given)).toEqual({ value: { count: 8000, isOn: false } });
    expect(read("isOn: ${NONE:-true}", given)).toEqual({ value: { isOn: true } });
  });

  test.each([
    ["count: ${V}", "80x", "expected a whole number; the value is that of the environment variable V"],
    ["count: ${V}", "", "expected a whole number; the environment variable V is empty"],
    ["isOn: ${V}", "yes", "expected true or false; the value is that of the environment variable V"],
  ])("%s with %j is a problem", (text, value, message) => {
    expect(read(text, { V: value })).toMatchObject({ problems: [{ message, at: { line: 1 } }] });
  });

  test("a part of a text is never converted to a number", () => {
    expect(read("count: 8${V}", { V: "0" })).toMatchObject({
      problems: [{ message: "expected a whole number; the value is that of the environment variable V" }],
    });
  });
});
