import type { Condition } from "../config/conflicts.ts";
import { fieldName } from "../http/field-name.ts";
import { fieldValues, listItems, type RawFields } from "../http/fields.ts";
import { percentDecoded } from "../http/percent-encoding.ts";

/** The parts of a request that the conditions of routes read. */
export interface ConditionSource {
  readonly request: { readonly rawHeaders: RawFields };
  readonly target: { readonly query: string };
  /**
   * For a preflight: the fields, in lower case, that the announced request will have. Their values are not known, so a
   * condition on one of them is met.
   */
  readonly announced?: ReadonlySet<string>;
}

/** A request that two servers could read in two ways; the text says why. */
export class Ambiguity {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** The value of a field that a preflight only announces: it meets every condition. */
const ANY = Symbol("any value");

/** The value of one condition's name in a request; undefined if the request does not have it. */
type Value = string | typeof ANY | undefined;

/** A field or a query parameter that conditions name. */
export type ConditionName = Pick<Condition, "kind" | "name">;

/**
 * Returns the values of fields and query parameters in a request. A request in which a backend could read another value
 * is refused: it must not be routed by one reading and served by another.
 */
export function readValues(
  names: readonly ConditionName[],
  source: ConditionSource,
): readonly Value[] | Ambiguity {
  const values: Value[] = [];
  for (const { kind, name } of names) {
    const value = kind === "header" ? readField(name, source) : readParameter(name, source.target.query);
    if (value instanceof Ambiguity) return value;
    values.push(value);
  }
  return values;
}

/** Whether a value that `readValues` returned meets a condition. */
export const meets = (value: Value, expected: string): boolean => value === expected || value === ANY;

/**
 * Reads a field; a second field line, or another spelling that CGI reads as the same name (RFC 3875 section 4.1.18), is
 * ambiguous.
 */
function readField(name: string, { request: { rawHeaders }, announced }: ConditionSource): Value | Ambiguity {
  const { canonical } = fieldName(name);
  let value: Value = announced?.has(name) === true ? ANY : undefined;
  let isFound = false;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const field = fieldName(rawHeaders[at] as string);
    if (field.canonical !== canonical) continue;
    if (field.lower !== name) return new Ambiguity(`${field.spelled} is another spelling of ${name}`);
    if (isFound) return new Ambiguity(`${name} occurs twice`);
    isFound = true;
    value = rawHeaders[at + 1];
  }
  // A field that Connection names ends at this hop (RFC 9110 section 7.6.1): the backend would not see it.
  if (isFound && connectionOptions(rawHeaders).includes(name))
    return new Ambiguity(`Connection names ${name}`);
  return value;
}

const connectionOptions = (rawHeaders: RawFields): string[] =>
  listItems(fieldValues(rawHeaders, "connection")).map((option) => option.toLowerCase());

/** Express, `node:querystring` and PHP (`max_input_vars`) read as many parameters of a query, and ignore the rest. */
const MAX_PARAMETERS = 1_000;

/**
 * Reads a parameter of a query, decoded once. A second one is ambiguous, and so is every spelling in which some
 * frameworks find the parameter and others do not: `V=2`, `v[]=2`, `x=1;v=2`.
 */
function readParameter(name: string, query: string): Value | Ambiguity {
  const looseName = loose(name);
  let value: string | undefined;
  for (const [at, pair] of query.slice(1).split("&").entries()) {
    const parts = pair.split(";");
    for (const part of parts) {
      const equals = part.indexOf("=");
      const found = percentDecoded(equals < 0 ? part : part.slice(0, equals));
      if (!mayMean(found, looseName)) continue;
      if (found !== name || parts.length > 1)
        return new Ambiguity(`${part} is another spelling of the parameter ${name}`);
      if (value !== undefined) return new Ambiguity(`the parameter ${name} occurs twice`);
      if (at >= MAX_PARAMETERS) return new Ambiguity(`${MAX_PARAMETERS} parameters precede ${name}`);
      value = equals < 0 ? "" : percentDecoded(part.slice(equals + 1));
    }
  }
  return value;
}

/**
 * Whether a lenient framework reads a parameter's name as the one that `loose` has returned: PHP drops leading blanks,
 * and everything from a NUL on; PHP, Rails and Express read `v[]` as v; Express and Rack 2 read `[v]` as v; PHP reads
 * `api[v`, without the other bracket, as api_v.
 */
function mayMean(found: string, looseName: string): boolean {
  const [text = ""] = found.replace(/^[\s+]+/, "").split("\0", 1);
  const plain = text.replace(/^[[\]]+/, "");
  const bracket = plain.search(/[[\]]/);
  return loose(plain) === looseName || (bracket > 0 && loose(plain.slice(0, bracket)) === looseName);
}

/** Returns a parameter's name for a comparison: ASP.NET ignores case, and PHP writes `_` for a dot, a blank and `[`. */
function loose(name: string): string {
  return name.replace(/[ .+[]/g, "_").toLowerCase();
}
