import type { Exchange } from "../exchange/exchange.ts";
import { fieldValue } from "../http/fields.ts";

const FIELDS_OF_PROXIES = ["x-forwarded-for", "x-real-ip", "x-forwarded-proto", "forwarded", "via"];

/**
 * Whether the client may be a proxy that cannot read interim responses: by HTTP/1.1, nginx before 1.29 waits for the
 * response behind a 103 until its timeout. It sends `Connection: close` by default; browsers never do. RFC 8297 section
 * 3 lets a server omit 103 for such clients.
 */
export function isFromOldProxy({ request, client }: Exchange): boolean {
  if (request.httpVersion !== "1.1") return false;
  if (fieldValue(request.rawHeaders, "connection")?.toLowerCase() === "close") return true;
  return (
    client.isTrusted || FIELDS_OF_PROXIES.some((name) => fieldValue(request.rawHeaders, name) !== undefined)
  );
}
