import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { createLog } from "../../src/observe/log.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, START_MS, startSluice } from "../support/sluice-process.ts";

// U+009B begins an escape sequence like ESC [: a request path could move the cursor, recolour or overwrite other
// lines. Bidirectional marks show a line in another order (CVE-2021-42574).

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);
const codes = [
  ...range(0, 0x1f),
  ...range(0x7f, 0x9f),
  0x61c,
  0x200e,
  0x200f,
  ...range(0x2028, 0x202e),
  ...range(0x2066, 0x2069),
];
const ATTACK = codes.map((code) => String.fromCharCode(code)).join("");
const HARMLESS = "a\u00a0é\u061b\u200d\u2027\u202f\u2065\u206a中😀\u{100000}b";

/** The characters that a terminal interprets, except line ends and tabs. */
const obeyed = (text: string) =>
  [...text].filter((one) => one !== "\n" && one !== "\t" && codes.includes(one.codePointAt(0) ?? 0));

const isTTY = process.stdout.isTTY;
afterEach(() => {
  process.stdout.isTTY = isTTY;
});

function written(format: "json" | "pretty", say: (log: ReturnType<typeof createLog>) => void): string {
  const lines: string[] = [];
  say(createLog({ format, level: "info" }, { write: (line) => void lines.push(line) }));
  return lines.join("");
}

const LINES: readonly [name: string, say: (text: string) => (log: ReturnType<typeof createLog>) => void][] = [
  ["a fact", (text) => (log) => log.info({ path: `/${text}` }, "request")],
  [
    "a fact beside an object",
    (text) => (log) => log.warn({ path: `/${text}`, err: { message: text } }, "request"),
  ],
  ["a message", (text) => (log) => log.info({ a: 1 }, `about ${text}`)],
  ["an error", (text) => (log) => log.error({ err: new Error(text, { cause: new Error(text) }) }, "fault")],
  ["an error alone", (text) => (log) => log.error(new Error(text))],
];

test.each(LINES)("JSON with %s keeps its value and contains no control characters", (_, say) => {
  for (const text of [ATTACK, HARMLESS, ...codes.map((code) => String.fromCharCode(code))]) {
    const line = written("json", say(text));
    expect(obeyed(line)).toEqual([]);
    expect(JSON.stringify(JSON.parse(line))).toContain(JSON.stringify(text).slice(1, -1));
  }
});

test.each(LINES)("a line for people with %s escapes control characters", (_, say) => {
  for (const code of codes.filter((one) => one !== 0x09 && one !== 0x0a)) {
    const line = written("pretty", say(`x${String.fromCharCode(code)}[31my`));
    expect(obeyed(line)).toEqual([]);
    expect(line).toContain(`x\\u${code.toString(16).padStart(4, "0")}[31my`);
  }
  expect(written("pretty", say("é中😀\u200db"))).toContain("é中😀\u200db");
});

test.each(LINES)("a coloured line with %s contains only sluice's own escape sequences", (_, say) => {
  process.stdout.isTTY = true;
  const escapes = (line: string) => obeyed(line).filter((one) => one === "\u001b").length;
  const plain = written("pretty", say("xy"));
  const attacked = written("pretty", say("x\u001b[31m\u009b31my"));
  expect(escapes(plain)).toBeGreaterThan(0);
  expect(escapes(attacked)).toBe(escapes(plain));
  expect(obeyed(attacked).every((one) => one === "\u001b")).toBe(true);
});

test("a command escapes control characters of its arguments and files", async () => {
  const unknown = await startSluice(["\u009b31m\u202ecommand"]).ended;
  expect(unknown.stderr).toContain("\\u009b31m\\u202ecommand");
  expect(obeyed(unknown.stderr)).toEqual([]);
  const header = await startSluice([
    "sign",
    "http://a/",
    "--key",
    "k",
    "--secret",
    "s",
    "--header",
    "\u001b[2J",
  ]).ended;
  expect(header.stderr).toContain("\\u001b[2J");
  expect(obeyed(header.stderr)).toEqual([]);
  const directory = directoryOf({
    "sluice.yaml": 'listen: "\\e[31m\\x9b31m\\u202e"\n"\\x9b31m": 1\n',
    "routes/a.yaml": 'match: { path: /x, host: "\\x9b2J" }\nupstream: "http://\\x9b2J\\u2066"\n',
  });
  const check = await startSluice(["check", "--config", directory]).ended;
  expect(check.code).toBe(2);
  expect(check.stderr.split("\n").length).toBeGreaterThan(3);
  expect(obeyed(check.stderr)).toEqual([]);
});

test("a running gateway escapes control characters of a request path in its log", async () => {
  const sluice = startSluice([
    "serve",
    "--to",
    "http://127.0.0.1:1",
    "--listen",
    "127.0.0.1:0",
    "--log-format",
    "pretty",
  ]);
  const address = await eventually(
    () => /open +http:\/\/127\.0\.0\.1:(\d+)/.exec(sluice.text())?.[1],
    "the address",
    { timeoutMs: START_MS },
  );
  const socket = connect(Number(address), "127.0.0.1");
  socket.on("error", () => {});
  socket.end(Buffer.from("GET / HTTP/1.1\r\nHost: a\r\nExpect: \x9b2J\x9b31mpwned\r\n\r\n", "latin1"));
  await eventually(() => sluice.text().includes("pwned"), "the line");
  expect(sluice.text()).toContain("\\u009b2J\\u009b31mpwned");
  expect(obeyed(sluice.text())).toEqual([]);
});
