import { type Logger, pino } from "pino";
import { expect, test } from "vitest";
import { type LogWrite, replaceLogWrite } from "../../../../src/process/internals/log-write.ts";

/** A log whose calls of its write method are kept. */
function watchedLog() {
  const calls: { on: Logger; args: Parameters<LogWrite> }[] = [];
  let written = "";
  const target = {
    write: (line: string) => {
      written += line;
    },
  };
  const log = pino({ level: "info", base: null, timestamp: false }, target);
  const own = replaceLogWrite(log, function write(...args) {
    calls.push({ on: this, args });
    own.apply(this, args);
  });
  return { log, calls, written: () => written };
}

test("pino calls the method under its symbol with the facts, the message and the level", () => {
  const { log, calls, written } = watchedLog();
  const facts = { status: 200 };
  log.info(facts, "request");
  log.warn("alone");
  log.error(facts);
  log.debug(facts, "below the level");
  expect(calls.map(({ args }) => args)).toEqual([
    [facts, "request", 30],
    [null, "alone", 40],
    [facts, undefined, 50],
  ]);
  expect(calls.every(({ on }) => on === log)).toBe(true);
  expect(written().split("\n")[0]).toBe('{"level":30,"status":200,"msg":"request"}');
});

test("pino calls the method of a child as that of the child", () => {
  const { log, calls } = watchedLog();
  const child = log.child({ route: "a" });
  child.info("request");
  expect(calls.map(({ on }) => on)).toEqual([child]);
});
