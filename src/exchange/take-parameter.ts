import { takeParameter } from "../http/query.ts";
import type { Exchange } from "./exchange.ts";

/**
 * Takes a query parameter out of a request, so that the backend does not get it, and returns its values. `decode` makes
 * a value of the text behind the `=`; UTF-8 by default.
 */
export function takeTargetParameter(
  exchange: Exchange,
  name: string,
  decode?: (text: string) => string,
): readonly string[] {
  const { path, query } = exchange.target;
  const taken = takeParameter(query, name, decode);
  if (taken.values.length > 0) exchange.foundTarget({ path, query: taken.query });
  return taken.values;
}
