import type { BalanceConfig } from "../config/balance-schema.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { UNIX_PEER, UNKNOWN } from "../http/address.ts";
import { cookieValues } from "../http/cookie.ts";
import { fieldValues } from "../http/fields.ts";
import { takeParameter } from "../http/query.ts";

/** Returns the text of a request that `balance: hash` hashes; undefined if the request has none. */
export type HashKey = (exchange: Exchange) => string | undefined;

/**
 * Creates the reader of the part that `by` names. An empty value counts as missing, so that such requests are spread.
 * The request's head bounds the length of a value.
 */
export function createHashKey(config: BalanceConfig): HashKey {
  if (config.method !== "hash") return () => undefined;
  const colon = config.by.indexOf(":");
  const name = config.by.slice(colon + 1);
  switch (config.by.slice(0, Math.max(0, colon))) {
    case "header": {
      const lowerName = name.toLowerCase();
      // RFC 9110 section 5.3: several lines of a field mean the same as one line with all their values.
      return ({ request }) => fieldValues(request.rawHeaders, lowerName).join(",") || undefined;
    }
    case "cookie":
      return ({ request }) => cookieValues(request.rawHeaders, name)[0] || undefined;
    case "query":
      return ({ target }) => takeParameter(target.query, name).values[0] || undefined;
    default:
      return ({ client: { address } }) =>
        address === UNKNOWN || address === UNIX_PEER ? undefined : address;
  }
}
