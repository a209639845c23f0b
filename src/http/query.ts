import { isUtf8 } from "node:buffer";
import { escapedByte, percentDecoded } from "./percent-encoding.ts";

/** A query without one of its parameters, and the values of that parameter. */
export interface TakenParameter {
  /** Decoded; the value of a parameter without `=` is empty. */
  readonly values: readonly string[];
  /** The rest, byte for byte, with its question mark; empty if no parameter is left. */
  readonly query: string;
}

/**
 * Takes a parameter out of a query, with its name in any percent-encoding: a later decoder must not find a parameter
 * that this function overlooked. `decode` decodes the text behind the `=`; as UTF-8 by default.
 */
export function takeParameter(
  query: string,
  name: string,
  decode: (text: string) => string = decodedText,
): TakenParameter {
  if (!hasParameter(query, name)) return { values: [], query };
  const values: string[] = [];
  const rest = query
    .slice(1)
    .split("&")
    .filter((pair) => {
      if (!isNamed(pair, 0, pair.length, name)) return true;
      const at = pair.indexOf("=");
      values.push(at < 0 ? "" : decode(pair.slice(at + 1)));
      return false;
    });
  return { values, query: rest.length === 0 ? "" : `?${rest.join("&")}` };
}

/** Whether a query has a parameter, with its name in any percent-encoding. */
export function hasParameter(query: string, name: string): boolean {
  if (!query.includes(name) && !query.includes("%")) return false;
  return somePair(query, (start, end) => isNamed(query, start, end, name));
}

/** Whether a query has a parameter, with its name in any percent-encoding and in any case. */
export function hasParameterInAnyCase(query: string, name: string): boolean {
  const lower = name.toLowerCase();
  return somePair(query, (start, end) => isNamed(query, start, end, lower, true));
}

/** Whether `isMeant` is true for a pair of a query; it gets the pair's start and end. */
function somePair(query: string, isMeant: (start: number, end: number) => boolean): boolean {
  for (let at = 1; at < query.length; ) {
    const next = query.indexOf("&", at);
    const end = next < 0 ? query.length : next;
    if (isMeant(at, end)) return true;
    at = end + 1;
  }
  return false;
}

/**
 * Whether the pair from `start` up to `end` has a name. Decodes and compares up to the first different character: a
 * query may hold four thousand other names, and a string for each of them took milliseconds.
 */
function isNamed(text: string, start: number, end: number, name: string, isFolded = false): boolean {
  let at = start;
  for (let index = 0; index < name.length; index++) {
    if (at >= end) return false;
    const escaped = escapedByte(text, at);
    const code = escaped >= 0 ? escaped : text.charCodeAt(at);
    if ((isFolded ? folded(code) : code) !== name.charCodeAt(index)) return false;
    at += escaped >= 0 ? 3 : 1;
  }
  return at === end || text[at] === "=";
}

/** Returns the code of an ASCII letter in lower case. */
const folded = (code: number): number => (code >= 0x41 && code <= 0x5a ? code + 0x20 : code);

/** Decodes as UTF-8, with a bare percent sign as it is; bytes that are not UTF-8 stay encoded. */
function decodedText(text: string): string {
  const bytes = Buffer.from(percentDecoded(text.replaceAll("+", " ")), "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : text;
}
