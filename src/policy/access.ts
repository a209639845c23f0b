import { ProxyError } from "../base/errors.ts";
import type { AccessConfig } from "../config/access-schema.ts";
import type { Step } from "../exchange/step.ts";
import { createRanges, UNKNOWN } from "../http/address.ts";

/**
 * Lets in by client address, as trusted proxies report it. `deny` is asked first; with an `allow` list all
 * others stay out, also a client without an IP address. A client whose address is not known may be one of those
 * in `deny`, so either list keeps it out. Undefined when anybody may come in.
 */
export function createAccess({ allow, deny }: AccessConfig): Step | undefined {
  if (allow.length === 0 && deny.length === 0) return undefined;
  const allowed = createRanges(allow);
  const denied = createRanges(deny);
  return ({ client: { address } }) => {
    if (address === UNKNOWN) throw new ProxyError("access_denied", "the client's address is not known");
    if (denied.has(address)) throw new ProxyError("access_denied", `${address} is in access.deny`);
    if (allow.length === 0 || allowed.has(address)) return undefined;
    throw new ProxyError("access_denied", `${address} is not in access.allow`);
  };
}
