import { type FieldName, fieldName } from "./field-name.ts";

/** A set of field names. */
export interface NameSet {
  /** Whether the set holds a name, in any spelling that a CGI backend reads the same (`FieldName.canonical`). */
  has(name: FieldName): boolean;
  /** Whether a name is a twin of a name in the set: another spelling that a CGI backend reads as the same field. */
  hasTwinOf(name: FieldName): boolean;
}

const exact = new WeakMap<readonly string[], NameSet>();
const withRest = new WeakMap<readonly string[], NameSet>();

/** Returns the set of the names in a list. It is compiled once per list object, so pass a list that is kept. */
export function nameSet(names: readonly string[]): NameSet {
  const known = exact.get(names);
  if (known !== undefined) return known;
  const set = compile(names, []);
  exact.set(names, set);
  return set;
}

/** Returns the set of the names that match a list of patterns, with a final `*` for any rest: `X-Sdk-*`. */
export function namePatterns(patterns: readonly string[]): NameSet {
  const known = withRest.get(patterns);
  if (known !== undefined) return known;
  const isPrefix = (pattern: string): boolean => pattern.endsWith("*");
  const prefixes = patterns.filter(isPrefix).map((pattern) => pattern.slice(0, -1));
  const names = patterns.filter((pattern) => !isPrefix(pattern));
  const set = compile(names, prefixes);
  withRest.set(patterns, set);
  return set;
}

function compile(texts: readonly string[], prefixTexts: readonly string[]): NameSet {
  const names = texts.map(fieldName);
  const spelled = new Set(names.map(({ lower }) => lower));
  const canonical = new Set(names.map((name) => name.canonical));
  const prefixes = prefixTexts.map((text) => fieldName(text).canonical);
  const isPrefixed = (form: string): boolean => prefixes.some((prefix) => form.startsWith(prefix));
  const has =
    prefixes.length === 0
      ? (name: FieldName): boolean => canonical.has(name.canonical)
      : ({ canonical: form }: FieldName): boolean => canonical.has(form) || isPrefixed(form);
  const isSpelledSo = ({ lower, canonical: form }: FieldName): boolean =>
    spelled.has(lower) || (lower === form && isPrefixed(form));
  return { has, hasTwinOf: (name) => has(name) && !isSpelledSo(name) };
}
