import { percentDecoded, percentEncoded } from "../http/percent-encoding.ts";

/** One query parameter, decoded once and encoded again; bytes in latin1. */
export interface Parameter {
  /** In the form of today's signers: `name=value`. */
  readonly pair: string;
  /** In the form of the JavaScript SDK of 2018: without `=` if the value is empty. */
  readonly oldPair: string;
  /** Decoded. */
  readonly name: string;
  readonly value: string;
}

/** Returns the parameters of a query without its question mark, in order; undefined if there are more than `most`. */
export function readParameters(query: string, most: number): readonly Parameter[] | undefined {
  const parameters: Parameter[] = [];
  for (let at = 0; at < query.length; ) {
    const next = query.indexOf("&", at);
    const end = next < 0 ? query.length : next;
    if (end > at) {
      if (parameters.length === most) return undefined;
      parameters.push(readParameter(query.slice(at, end)));
    }
    at = end + 1;
  }
  return parameters;
}

function readParameter(text: string): Parameter {
  const equals = text.indexOf("=");
  const name = percentDecoded(equals < 0 ? text : text.slice(0, equals));
  const value = percentDecoded(equals < 0 ? "" : text.slice(equals + 1));
  const encodedName = percentEncoded(name);
  const pair = `${encodedName}=${percentEncoded(value)}`;
  return { pair, oldPair: value === "" ? encodedName : pair, name, value };
}

/** Returns the canonical query of today's signers. */
export function canonicalQuery(parameters: readonly Parameter[]): string {
  return spelled(parameters.toSorted(byBytes));
}

/** A query that the client may have signed, in one of the forms that signers write. */
export interface SignedQuery {
  readonly text: string;
  /** Whether the parameter that a polyfill appends is left out. */
  readonly isResumed: boolean;
}

/**
 * Returns every form in which signers write a query, without duplicates: as received and, with `appended`, without
 * that parameter.
 *
 * All forms contain the same decoded pairs and differ in their order and in `k=` or `k`, so accepting any of them
 * does not weaken the signature. A plus stays a plus: signers write a space as `%20`. Each order is sorted once,
 * because removing a parameter keeps the order of the others.
 */
export function signedQueries(
  parameters: readonly Parameter[],
  appended?: Parameter,
): readonly SignedQuery[] {
  const orders = [parameters.toSorted(byBytes)];
  if (differInUnits(parameters)) orders.push(inUnitOrder(parameters));
  const old = parameters.toSorted((a, b) => compare(a.oldPair, b.oldPair));
  const forms = (isKept: (parameter: Parameter) => boolean, isResumed: boolean): SignedQuery[] => {
    const texts = [
      ...orders.map((order) => spelled(order.filter(isKept))),
      old.filter(isKept).map(oldPairOf).join("&"),
    ];
    return [...new Set(texts)].map((text) => ({ text, isResumed }));
  };
  const sent = forms(() => true, false);
  if (appended === undefined) return sent;
  return [...sent, ...forms((parameter) => parameter !== appended, true)];
}

const spelled = (sorted: readonly Parameter[]): string => sorted.map(({ pair }) => pair).join("&");

const oldPairOf = ({ oldPair }: Parameter): string => oldPair;

function byBytes(a: Parameter, b: Parameter): number {
  return compare(a.name, b.name) || compare(a.value, b.value);
}

/** The first UTF-8 byte of a character that takes two UTF-16 units, and of a character from U+E000 to U+FFFF. */
const FIRST_OF_TWO_UNITS = /[\xf0-\xf4]/;
const FIRST_OF_HIGH_UNIT = /[\xee\xef]/;

/**
 * Whether the order of UTF-16 units, by which JavaScript compares, may differ from the order of bytes: an emoji
 * sorts before U+FFFD in JavaScript, and after it in Python and Go.
 */
function differInUnits(parameters: readonly Parameter[]): boolean {
  const has = (pattern: RegExp) =>
    parameters.some(({ name, value }) => pattern.test(name) || pattern.test(value));
  return has(FIRST_OF_TWO_UNITS) && has(FIRST_OF_HIGH_UNIT);
}

/** Sorts in the order of UTF-16 units: the order of bytes, with U+E000 to U+FFFF last. */
function inUnitOrder(parameters: readonly Parameter[]): Parameter[] {
  const highLast = (bytes: string) => bytes.replaceAll("\xee", "\xfe").replaceAll("\xef", "\xff");
  return parameters
    .map((parameter) => ({ parameter, name: highLast(parameter.name), value: highLast(parameter.value) }))
    .sort((a, b) => compare(a.name, b.name) || compare(a.value, b.value))
    .map(({ parameter }) => parameter);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
