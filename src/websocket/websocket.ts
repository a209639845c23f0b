import { ProxyError } from "../base/errors.ts";
import type { ClientRequest } from "../http/client-request.ts";
import { fieldValues } from "../http/fields.ts";

/** 16 bytes in base64 (RFC 6455 section 4.1). */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** The only version in use (RFC 6455); earlier ones were drafts. */
const VERSION = "13";

/**
 * Refuses a WebSocket handshake that no backend could accept (RFC 6455 section 4.2.1): throws a ProxyError, with 426 for
 * a version other than 13, with 400 otherwise.
 */
export function checkHandshake({ rawHeaders }: ClientRequest): void {
  const fields: [string, string][] = [["Sec-WebSocket-Version", VERSION]];
  const versions = fieldValues(rawHeaders, "sec-websocket-version");
  if (versions.length !== 1 || versions[0]?.trim() !== VERSION) {
    throw new ProxyError("upgrade_required", `WebSocket version ${versions.join(", ")}`, {
      fields: [["Upgrade", "websocket"], ...fields],
    });
  }
  const keys = fieldValues(rawHeaders, "sec-websocket-key");
  if (keys.length !== 1 || !KEY.test(keys[0]?.trim() ?? "")) {
    throw new ProxyError("bad_request", "Sec-WebSocket-Key is not 16 bytes in base64", { fields });
  }
  // A body would become the first bytes of the tunnel, past any parser that relies on its length.
  const lengths = fieldValues(rawHeaders, "content-length");
  if (lengths.some((length) => length !== "0") || fieldValues(rawHeaders, "transfer-encoding").length > 0) {
    throw new ProxyError("bad_request", "WebSocket handshake with a body");
  }
}
