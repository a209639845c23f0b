import { describe, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { decodeText } from "../../../src/config/text-file.ts";
import { parseYaml } from "../../../src/config/yaml-file.ts";

const read = (text: string): unknown => {
  const { file, problems } = parseYaml(text);
  expect(problems).toEqual([]);
  return file?.value;
};
/** The problems as `line:column message`. */
const problemsIn = (text: string): string[] =>
  parseYaml(text).problems.map(({ at, message }) => `${at.line}:${at.column} ${message}`);

describe("values and places", () => {
  const text = "match:\n  path: /a\nlist: [1, x]\nempty:\n";

  test("a document becomes plain values", () => {
    expect(read(text)).toEqual({ match: { path: "/a" }, list: [1, "x"], empty: null });
  });

  test("every key and value has its place", () => {
    const file = parseYaml(text).file;
    expect(file?.keyPosition(["match", "path"])).toEqual({ line: 2, column: 3 });
    expect(file?.valuePosition(["match", "path"])).toEqual({ line: 2, column: 9 });
    expect(file?.valuePosition(["list", 1])).toEqual({ line: 3, column: 11 });
    expect(file?.valuePosition(["empty"])).toEqual({ line: 4, column: 1 });
  });

  test("a path that is not in the file has the place of the nearest one that is", () => {
    const file = parseYaml(text).file;
    expect(file?.keyPosition(["match", "host"])).toEqual({ line: 1, column: 1 });
    expect(file?.valuePosition(["list", 9, "x"])).toEqual({ line: 3, column: 7 });
    expect(file?.keyPosition([])).toEqual({ line: 1, column: 1 });
  });

  test.each(["", "# a comment\n", "---\n", "\n\n"])("%j is empty", (empty) => {
    expect(read(empty)).toBeNull();
  });

  test("CRLF lines count as lines", () => {
    const file = parseYaml("a:\r\n  b: 1\r\n  c: 2\r\n").file;
    expect(file?.value).toEqual({ a: { b: 1, c: 2 } });
    expect(file?.valuePosition(["a", "c"])).toEqual({ line: 3, column: 6 });
  });

  test("YAML 1.2: yes, no, on and off are texts, and a number as a key is a text", () => {
    expect(read("a: yes\nb: off\n1: x")).toEqual({ a: "yes", b: "off", 1: "x" });
  });

  test("an alias has the value of its anchor and the place of its use", () => {
    const file = parseYaml("a: &x [1]\nb: *x\n").file;
    expect(file?.value).toEqual({ a: [1], b: [1] });
    expect(file?.valuePosition(["b"])).toEqual({ line: 2, column: 4 });
  });
});

describe("refused, with the place", () => {
  test.each([
    ["a: 1\nb: 2\na: 3", "3:1 duplicate key"],
    ["a:\n  x: 1\n  x: 2", "3:3 duplicate key"],
    ["a:\n\tb: 1", "2:1 invalid YAML: tabs are not allowed as indentation"],
    ["a: 1\n---\nb: 2", "2:1 expected one YAML document, found a second"],
    ["%YAML 1.1\n---\na: yes", "1:1 expected YAML 1.2"],
    ["x: &x {a: 1}\ny:\n  <<: *x", "3:3 merge keys are not YAML 1.2; repeat the keys instead"],
    ["a: *nowhere", "1:4 no anchor &nowhere above this alias"],
    ["a: &a\n  b: *a", "2:6 the alias *a is inside its own anchor"],
    ["a: !secret x", "1:4 invalid YAML: Unresolved tag: !secret"],
    ["? [a]\n: b", "1:3 invalid YAML: with stringKeys, all keys must be strings"],
    ["a: {b: ${X}}", '1:9 quote "${NAME}" inside [ ] and { }'],
    [
      "a: [1,",
      "1:7 invalid YAML: flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
  ])("%j", (text, fault) => {
    expect(problemsIn(text)[0]).toBe(fault);
  });

  test("keys that reach a prototype are errors, and nothing is polluted", () => {
    expect(problemsIn("__proto__: {isAdmin: true}\nconstructor: {prototype: {isAdmin: true}}")).toEqual([
      "1:1 unknown key",
      "2:1 unknown key",
    ]);
    expect("isAdmin" in {}).toBe(false);
  });
});

describe("bombs", () => {
  const aliasBomb = ["a0: &a0 [x, x]"]
    .concat(Array.from({ length: 30 }, (_, at) => `a${at + 1}: &a${at + 1} [*a${at}, *a${at}]`))
    .join("\n");
  const wide = `{${"a,".repeat(200_000)}}`;

  test.each([
    ["aliases of aliases", aliasBomb, "values"],
    ["half a million [", "[".repeat(500_000), "levels"],
    ["half a million -", "- ".repeat(500_000), "levels"],
    ["400,000 keys", wide, "tokens"],
    [
      "1,400 levels of indentation",
      Array.from({ length: 1400 }, (_, at) => `${" ".repeat(at)}a:`).join("\n"),
      "",
    ],
  ])("%s are refused quickly, with a problem", (_, text, word) => {
    const startedAt = performance.now();
    const problems = problemsIn(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(word);
    expect(performance.now() - startedAt).toBeLessThan(4000);
  });

  test("control: the parser alone accepts a document with many keys, and its own check takes far longer", () => {
    // 6,000 keys, not 200,000: the parser's check compares every pair of keys; the reader does not.
    const keys = Array.from({ length: 6000 }, (_, at) => `k${at}: 1`).join("\n");
    const startedAt = performance.now();
    parseDocument(keys);
    const bareMs = performance.now() - startedAt;
    // The best of three: if the machine stood still during one, its time is not the reader's.
    const ourMs = [1, 2, 3].map(() => {
      const ourStart = performance.now();
      expect(read(keys)).toHaveProperty("k5999", 1);
      return performance.now() - ourStart;
    });
    expect(Math.min(...ourMs)).toBeLessThan(bareMs);
  });
});

describe("bytes", () => {
  const decode = (text: string | readonly number[]) => decodeText(Buffer.from(text as string));

  test("a byte order mark is removed", () => {
    expect(decode([0xef, 0xbb, 0xbf, 0x61])).toEqual({ text: "a" });
  });

  test.each([
    [[0x61, 0x0a, 0x62, 0xff], "expected UTF-8", 2, 2],
    [[0xff, 0xfe, 0x61, 0x00], "expected UTF-8", 1, 1],
    [[0x61, 0x3a, 0x00], "expected no NUL", 1, 3],
    [[0x0a, 0x1b], "expected no control character", 2, 1],
  ])("%j is refused", (bytes, message, line, column) => {
    expect(decode(bytes)).toEqual({ problem: { message, at: { line, column } } });
  });
});
