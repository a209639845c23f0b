/** A query without one of its parameters, and the values that it had there. */
export interface TakenParameter {
  /** Decoded; a parameter without `=` has the empty value. */
  readonly values: readonly string[];
  /** The rest, byte for byte, with its question mark; empty when nothing is left. */
  readonly query: string;
}

/**
 * Takes a parameter out of a query, however its name is percent-encoded: whoever decodes it later must not
 * find one that was overlooked here.
 */
export function takeParameter(query: string, name: string): TakenParameter {
  const values: string[] = [];
  const rest = query
    .slice(1)
    .split("&")
    .filter((pair) => {
      const at = pair.indexOf("=");
      const isMeant = decoded(at < 0 ? pair : pair.slice(0, at)) === name;
      if (isMeant) values.push(at < 0 ? "" : decoded(pair.slice(at + 1)));
      return !isMeant;
    });
  if (values.length === 0) return { values, query };
  return { values, query: rest.length === 0 ? "" : `?${rest.join("&")}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    // Bytes that are no UTF-8 spell no name that is looked for.
    return text;
  }
}
