import fc from "fast-check";
import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { writePlainLines } from "../../../src/observe/plain-lines.ts";

const TIME = ',"time":"2026-01-02T03:04:05.678Z"';

/** Two logs, of which the first writes plain lines itself, and the last line of each. */
function twoLogs() {
  const lines = { ours: "", pinos: "" };
  const options = { level: "debug", base: null, timestamp: () => TIME };
  const ours = {
    write: (line: string) => {
      lines.ours = line;
    },
  };
  const log = pino(options, ours);
  writePlainLines(log, ours, () => TIME);
  const pinos = pino(options, {
    write: (line: string) => {
      lines.pinos = line;
    },
  });
  return { lines, log, pinos };
}

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 150 }),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom("\ud800", 'a"b', "a\\b", "\u007f\u0080\u009f", "\n", "é", "\u2028", "😀"),
);
const value = fc.oneof(
  { weight: 5, arbitrary: text },
  { weight: 3, arbitrary: fc.oneof(fc.nat(), fc.double(), fc.constantFrom(-0, 1e21, Number.NaN)) },
  fc.constantFrom(undefined, null, true, false, 10n, Symbol("s"), new Error("e"), () => 1),
  fc.constant({ nested: [1, "two"] }),
);
const name = fc.oneof(
  fc.stringMatching(/^[a-z][A-Za-z]{0,8}$/),
  fc.constantFrom("err", "msg", "level", "time", "method", "headers", "socket"),
);
const facts = fc.dictionary(name, value, { noNullPrototype: true });
const level = fc.constantFrom("debug" as const, "info" as const, "warn" as const, "error" as const);

test("every line equals pino's, whatever its facts", () => {
  const { lines, log, pinos } = twoLogs();
  fc.assert(
    fc.property(facts, fc.option(text, { nil: undefined }), level, (some, message, name) => {
      // pino writes a bigint among the facts as a number, and fails at one in an object: both logs do the same.
      log[name](some, message);
      pinos[name](some, message);
      expect(lines.ours).toBe(lines.pinos);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ["an error", new Error("alone")],
  ["a text", "alone"],
  ["an object of a class", Object.assign(Object.create({ inherited: 1 }), { own: 2 })],
  ["an object without a prototype", Object.assign(Object.create(null), { own: 2 })],
  ["a list", ["a"]],
  ["nothing", null],
])("pino writes the line with %s in place of facts", (_what, given) => {
  const { lines, log, pinos } = twoLogs();
  for (const rest of [["message"], []]) {
    log.info(given, ...rest);
    pinos.info(given, ...rest);
    expect(lines.ours).toBe(lines.pinos);
  }
});

test("a child writes its bindings, and lines below the level are not written", () => {
  const { lines, log, pinos } = twoLogs();
  log.child({ bound: 1 }).info({ own: 2 }, "message");
  pinos.child({ bound: 1 }).info({ own: 2 }, "message");
  expect(lines.ours).toBe(lines.pinos);
  log.level = "warn";
  lines.ours = "";
  log.info({ own: 2 }, "message");
  expect(lines.ours).toBe("");
});

test("the line of a request is written without pino", () => {
  const target = { write: vi.fn() };
  const log = pino({ base: null, timestamp: () => TIME }, target);
  const stringified = vi.fn(() => "");
  Object.assign(log, { [pino.symbols.asJsonSym]: stringified });
  writePlainLines(log, target, () => TIME);
  log.info({ reqId: "a", status: 200, events: undefined, path: "/ä?" }, "request");
  expect(stringified).not.toHaveBeenCalled();
  expect(target.write).toHaveBeenCalledWith(
    `{"level":30${TIME},"reqId":"a","status":200,"path":"/ä?","msg":"request"}\n`,
  );
});
