import { percentDecoded, percentEncoded } from "../http/percent-encoding.ts";

/** One parameter of a query, decoded once and encoded again; bytes in latin1. */
export interface Parameter {
  /** As signers of today write it: `name=value`. */
  readonly pair: string;
  /** As the JavaScript SDK of 2018 writes it: without `=` where there is no value. */
  readonly oldPair: string;
  /** Decoded. */
  readonly name: string;
  readonly value: string;
}

/** The parameters of a query without its question mark, in its order; undefined when there are more than `most`. */
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

/** The canonical query that signers of today write. */
export function canonicalQuery(parameters: readonly Parameter[]): string {
  return spelled(parameters.toSorted(byBytes));
}

/** What a request's query may have been when it was signed, in one form that signers write. */
export interface SignedQuery {
  readonly text: string;
  /** Without the parameter that a polyfill has appended to it. */
  readonly isResumed: boolean;
}

/**
 * Every form in which signers write a query, each once: as it was sent and, with `appended`, without that parameter.
 *
 * All forms hold the same decoded pairs and differ in their order and in `k=` or `k`: to take any of them
 * widens nothing that a signature covers. A plus is a plus: signers write a space as `%20`. Each order is sorted
 * once, because the query without one parameter has the order of the query with it.
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

/** The first byte of what is two UTF-16 units, and that of what is one from U+E000 on. */
const FIRST_OF_TWO_UNITS = /[\xf0-\xf4]/;
const FIRST_OF_HIGH_UNIT = /[\xee\xef]/;

/**
 * Whether the order of UTF-16 units, by which JavaScript compares, may differ from the order of bytes: an emoji
 * sorts before U+FFFD there, and after it in Python and Go.
 */
function differInUnits(parameters: readonly Parameter[]): boolean {
  const has = (pattern: RegExp) =>
    parameters.some(({ name, value }) => pattern.test(name) || pattern.test(value));
  return has(FIRST_OF_TWO_UNITS) && has(FIRST_OF_HIGH_UNIT);
}

/** The order of UTF-16 units: that of the bytes, were those of U+E000 to U+FFFF the last. */
function inUnitOrder(parameters: readonly Parameter[]): Parameter[] {
  const highLast = (bytes: string) => bytes.replaceAll("\xee", "\xfe").replaceAll("\xef", "\xff");
  return parameters
    .map((parameter) => ({ parameter, name: highLast(parameter.name), value: highLast(parameter.value) }))
    .sort((a, b) => compare(a.name, b.name) || compare(a.value, b.value))
    .map(({ parameter }) => parameter);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
