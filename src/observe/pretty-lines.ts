import { createRequire } from "node:module";
import type { DestinationStream } from "pino";
import { replaceUnsafe, spelled } from "../base/visible-text.ts";
import { forPeople, type LogLine } from "./people-lines.ts";

/** The first stand-in for unsafe characters, in a plane for private use, whose characters have no meaning. */
const STAND_INS = 0x100000;
/**
 * The stand-ins of all codes that are replaced. If a client sends one of them, an escape is printed, which is
 * harmless.
 */
const STAND_IN = /[\u{100000}-\u{102069}]/gu;

/**
 * Turns JSON lines into lines for people, with escapes for characters that control a terminal.
 *
 * Unsafe characters are replaced by stand-ins before pino-pretty formats a text: it prints messages and stacks
 * unchanged, and afterwards these characters could not be told from the colours that it adds. Escapes in their place
 * would not work, because pino-pretty escapes their backslash in what it prints as JSON.
 */
export function prettyInto(target: DestinationStream): DestinationStream {
  // https://no-color.org: any value that is not empty.
  const colorize = process.stdout.isTTY && !process.env["NO_COLOR"];
  // Loaded here: a service logs JSON, and starts sooner without it.
  const { prettyFactory }: typeof import("pino-pretty") = createRequire(import.meta.url)("pino-pretty");
  const format = prettyFactory({ colorize, singleLine: true });
  const render = (line: string) => format(forPeople(JSON.parse(line, withStandIns) as LogLine));
  return { write: (line) => target.write(withEscapes(render(line))) };
}

function withStandIns(_key: string, value: unknown): unknown {
  if (typeof value !== "string") return value;
  return replaceUnsafe(value, (code) => String.fromCodePoint(STAND_INS + code));
}

function withEscapes(text: string): string {
  return text.replace(STAND_IN, (character) => spelled((character.codePointAt(0) ?? 0) - STAND_INS));
}
