import { ProxyError } from "../base/errors.ts";
import type { AccessConfig } from "../config/access-schema.ts";
import type { Step } from "../exchange/step.ts";
import { createRanges, UNKNOWN } from "../http/address.ts";

/**
 * Admits clients by address, as trusted proxies report it. `deny` is checked first; with an `allow` list, any
 * other client is refused, including one without an IP address. A client whose address is unknown may be in
 * `deny`, so either list refuses it. Returns undefined without a list.
 */
export function createAccess({ allow, deny }: AccessConfig): Step | undefined {
  if (allow.length === 0 && deny.length === 0) return undefined;
  const allowed = createRanges(allow);
  const denied = createRanges(deny);
  return ({ client: { address } }) => {
    if (address === UNKNOWN) throw new ProxyError("access_denied", "the client's address is unknown");
    if (denied.has(address)) throw new ProxyError("access_denied", `${address} is in access.deny`);
    if (allow.length === 0 || allowed.has(address)) return undefined;
    throw new ProxyError("access_denied", `${address} is not in access.allow`);
  };
}
