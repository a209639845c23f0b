import type { DestinationStream, Logger } from "pino";
import { replaceLogWrite } from "../process/internals/log-write.ts";

/**
 * Anything but what stands in a log as it is: no quote, no backslash, no half of a pair, nothing that `visibleText`
 * spells out.
 */
const ESCAPED = /[^ !#-[\]-~\u00a0-\u061b\u061d-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\uffff]/;

/**
 * Has a log write the lines itself whose facts are plain texts and numbers, as pino would; all others are left to pino.
 *
 * For each value pino asks who is to write it: a line was an eighth of an ordinary request, and is half of that. It
 * gives its symbols out so that methods can be overridden where that is needed (docs/api.md, `pino.symbols`).
 *
 * `log` has no bindings and no redaction, `time` is its timestamp, and the names of facts are to need no escape.
 */
export function writePlainLines(log: Logger, target: DestinationStream, time: () => string): void {
  const writeAny = replaceLogWrite(log, function write(facts, message, level) {
    const isOurs = this === log && message !== undefined && isPlain(facts);
    const rest = isOurs ? plainRest(facts, message) : undefined;
    if (rest === undefined) writeAny.call(this, facts, message, level);
    else target.write(`{"level":${level}${time()}${rest}`);
  });
}

function isPlain(facts: object | null): facts is Record<string, unknown> {
  return facts !== null && Object.getPrototypeOf(facts) === Object.prototype;
}

/** The line behind level and time; undefined where it takes more than to join what is there. */
function plainRest(facts: Record<string, unknown>, message: string): string | undefined {
  let line = "";
  let texts = message;
  for (const name in facts) {
    const value = facts[name];
    if (typeof value === "string") {
      line += `,"${name}":"${value}"`;
      texts += value;
    } else if (Number.isFinite(value)) {
      line += `,"${name}":${value}`;
    } else if (value !== undefined) {
      return undefined;
    }
  }
  // All of them at once: to begin a search costs as much as to look through most texts.
  return ESCAPED.test(texts) ? undefined : `${line},"msg":"${message}"}\n`;
}
