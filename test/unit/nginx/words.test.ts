import { describe, expect, test } from "vitest";
import { parse } from "../../../src/nginx/parse.ts";
import { SourceFile } from "../../../src/nginx/source-file.ts";

/** Parses `return 200 WORD;` and returns the word's value, or nginx's error message. */
function read(word: string): string | { readonly error: string } {
  const { directives, fault } = parse(new SourceFile("nginx.conf", `return 200 ${word};`));
  if (fault !== undefined) return { error: fault.message };
  return directives[0]?.arg(1) ?? { error: "no word" };
}

/** Words with the values that nginx reads. A test in test/e2e gives the same words to a real nginx. */
const WORDS: readonly (readonly [written: string, read: string])[] = [
  ["plain", "plain"],
  ['"a b"', "a b"],
  ["'a b'", "a b"],
  ["a\\ b", "a\\ b"],
  ['"a\\"b"', 'a"b'],
  ["'a\\'b'", "a'b"],
  ['"a\\\\b"', "a\\b"],
  ["a\\\\b", "a\\b"],
  ['"a\\nb"', "a\nb"],
  ["a\\tb", "a\tb"],
  ['"a\\qb"', "a\\qb"],
  ["a#b", "a#b"],
  ['"#x"', "#x"],
  ["'{x}'", "{x}"],
  ['"a;b"', "a;b"],
  ["\\;x", "\\;x"],
  ["a\\;b", "a\\;b"],
  ["${host}x", "${host}x"],
  ["x${a}${b}", "x${a}${b}"],
  ['a"b"c', 'a"b"c'],
  ["a'b'c", "a'b'c"],
  ['"a\nb"', "a\nb"],
  ["x\\{y", "x\\{y"],
  ['\\"x', '"x'],
  ["\\#x", "\\#x"],
  ['"a" # c\n', "a"],
  ["a # c\n", "a"],
  ["é", "é"],
  ['"\\\'"', "'"],
  ["a}b", "a}b"],
  ["a\\}b", "a\\}b"],
  ['""', ""],
];

const REFUSED: readonly (readonly [written: string, message: string])[] = [
  ["}x", 'unexpected "}"'],
  ['"a"b', 'unexpected "b"'],
  ["'a''b'", 'unexpected "\'"'],
  ["a{b", 'unexpected end of file, expecting "}"'],
  ['"open', 'unexpected end of file, expecting ";" or "}"'],
  ['"a"{', 'unexpected ";"'],
  ["x".repeat(4096), 'too long parameter "xxxxxxxxxx..." started'],
  [`'${"x".repeat(4096)}'`, 'too long parameter, probably missing terminating "\'" character'],
  [`a # ${"x".repeat(4096)}\n`, 'too long parameter "# xxxxxxxx..." started'],
];

test.each(WORDS)("%j is read as nginx reads it", (written, value) => {
  expect(read(written)).toBe(value);
});

test.each(REFUSED)("%.20j is refused as nginx refuses it", (written, message) => {
  expect(read(written)).toEqual({ error: message });
});

test("the longest word that nginx accepts is accepted", () => {
  expect(read("x".repeat(4095))).toHaveLength(4095);
  expect(read(`'${"x".repeat(4094)}'`)).toHaveLength(4094);
  expect(read("é".repeat(2047))).toHaveLength(2047);
  expect(read("é".repeat(2048))).toMatchObject({ error: expect.stringContaining("too long") });
});

describe("a word has its place", () => {
  const text = 'http {\r\n  add_header X "a\\"b" always;\n}\n';
  const { directives } = parse(new SourceFile("nginx.conf", text));
  const word = directives[0]?.block?.[0]?.words[2];

  test("by line, column, quote and raw text", () => {
    expect(word).toMatchObject({ value: 'a"b', line: 2, column: 16, quote: '"', raw: '"a\\"b"' });
  });

  test("as offsets in the file", () => {
    expect(text.slice(word?.start, word?.end)).toBe('"a\\"b"');
  });
});

test("bytes that are not UTF-8 are written back unchanged", () => {
  const bytes = Buffer.from([0x61, 0x20, 0xff, 0xe9, 0x3b]);
  const file = new SourceFile("nginx.conf", bytes);
  expect(parse(file).directives[0]?.words[1]?.raw).toBe("ÿé");
  expect(file.encode(file.text)).toEqual(bytes);
});

test("a byte order mark is not part of the first word", () => {
  const file = new SourceFile("nginx.conf", Buffer.from("\ufeffevents {}"));
  expect(file.hasByteOrderMark).toBe(true);
  expect(parse(file).directives[0]?.name).toBe("events");
});

describe("Lua", () => {
  test.each([
    ["a brace in a string", 'ngx.say("}")'],
    ["an escaped quote", "ngx.say('\\'}')"],
    ["a long bracket", "local a = [==[ } ]] ]==]"],
    ["a comment", "-- }\n"],
    ["a long comment", "--[[ }\n} ]]"],
    ["a table", "local a = { b = { 1 } }"],
    ["a hash, which begins no comment", "local n = #t; if n > 0 then x = '#}' end"],
  ])("%s does not end the block", (_, lua) => {
    const { directives, fault } = parse(
      new SourceFile("nginx.conf", `location / { content_by_lua_block {${lua}} gzip on; }`),
    );
    expect(fault).toBeUndefined();
    expect(directives[0]?.block?.map(({ name }) => name)).toEqual(["content_by_lua_block", "gzip"]);
  });

  test("a block without its end is a syntax error", () => {
    const { fault } = parse(new SourceFile("nginx.conf", 'content_by_lua_block { say("}") '));
    expect(fault?.message).toBe('Lua code block missing the closing "}"');
  });
});

test("after a syntax error the tree keeps everything before it, open blocks included", () => {
  const { directives, fault } = parse(
    new SourceFile("nginx.conf", "http { server { listen 80; } gzip on; }}"),
  );
  expect(fault).toMatchObject({ message: 'unexpected "}"', offset: 39 });
  expect(directives[0]?.block?.map(({ name }) => name)).toEqual(["server", "gzip"]);
  const open = parse(new SourceFile("nginx.conf", "http { server { listen 80;"));
  expect(open.directives[0]?.block?.[0]?.block?.[0]?.value).toBe("80");
});

test("blocks beyond the depth limit are a syntax error", () => {
  const { fault } = parse(new SourceFile("nginx.conf", "a {".repeat(1000)));
  expect(fault?.message).toBe("more than 100 nested blocks");
});
