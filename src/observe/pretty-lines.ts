import type { DestinationStream } from "pino";
import { prettyFactory } from "pino-pretty";
import { replaceUnsafe, spelled } from "../base/visible-text.ts";

/** Where stand-ins for unsafe characters begin: a plane for private use, whose characters mean nothing by themselves. */
const STAND_INS = 0x100000;
/** Stand-ins of all codes that are replaced; a stranger who sends one of these gets an escape to see, which does no harm. */
const STAND_IN = /[\u{100000}-\u{102069}]/gu;

/**
 * Turns lines of JSON into lines for people, and what a terminal would obey in them into escapes.
 *
 * Before pino-pretty sees a text its unsafe characters are replaced by stand-ins: messages and stacks it prints as they
 * are, and behind it they could not be told from the colours that it adds. Escapes would not do, as it escapes what it
 * prints as JSON, and so their backslash.
 */
export function prettyInto(target: DestinationStream): DestinationStream {
  const format = prettyFactory({ colorize: process.stdout.isTTY, singleLine: true });
  return { write: (line) => target.write(withEscapes(format(JSON.parse(line, withStandIns)))) };
}

function withStandIns(_key: string, value: unknown): unknown {
  if (typeof value !== "string") return value;
  return replaceUnsafe(value, (code) => String.fromCodePoint(STAND_INS + code));
}

function withEscapes(text: string): string {
  return text.replace(STAND_IN, (character) => spelled((character.codePointAt(0) ?? 0) - STAND_INS));
}
