import type { IncomingMessage } from "node:http";
import type { ClientRequest } from "../http/client-request.ts";
import { fieldValue, fieldValues, listItems, type RawFields, withoutField } from "../http/fields.ts";

/**
 * The longest body, in bytes, of a request for an upgrade. It is read whole before the request is sent, so a longer one
 * is served without the upgrade; `docker exec` sends some hundred bytes.
 */
export const MAX_UPGRADE_BODY = 64 * 1024;

/**
 * Returns the protocol of `protocols` to which a request may switch: the first that its Upgrade field lists, in lower
 * case. Returns undefined if the upgrade is to be ignored, which RFC 9110 section 7.8 allows; it demands that for
 * HTTP/1.0 clients.
 *
 * A client that waits for a 100 Continue, or whose body is chunked or long, is served without the upgrade: the body
 * would have to be read by a parser that has given the connection away. A HEAD asks for a response, not for a tunnel.
 */
export function requestedProtocol(request: ClientRequest, protocols: readonly string[]): string | undefined {
  const { method, httpVersion, rawHeaders, body } = request;
  if (protocols.length === 0 || httpVersion !== "1.1" || method === "HEAD") return undefined;
  if (!listOf(rawHeaders, "connection").includes("upgrade")) return undefined;
  const asked = listOf(rawHeaders, "upgrade").find((protocol) => protocols.includes(protocol));
  // RFC 6455 section 4.1: the handshake is a GET.
  if (asked === "websocket") return method === "GET" ? asked : undefined;
  if (fieldValue(rawHeaders, "expect") !== undefined) return undefined;
  const isShort = body === undefined || (body.length !== undefined && body.length <= MAX_UPGRADE_BODY);
  return isShort ? asked : undefined;
}

/** Returns the fields of a request that asks a backend for a protocol: `fields` are without those of the connection. */
export function upgradeFields(fields: RawFields, protocol: string, rawHeaders: RawFields): string[] {
  const kept = withoutField(fields, "te");
  if (protocol === "websocket") {
    return [...withoutField(kept, "content-length"), "Connection", "Upgrade", "Upgrade", protocol];
  }
  const settings = protocol === "h2c" ? fieldValue(rawHeaders, "http2-settings") : undefined;
  if (settings === undefined)
    return [...kept, "Connection", "Upgrade", "Upgrade", spelled(protocol, rawHeaders)];
  // RFC 7540 section 3.2.1: it is a field of the connection.
  return [
    ...[...kept, "Connection", "Upgrade, HTTP2-Settings", "Upgrade", protocol],
    ...["HTTP2-Settings", settings],
  ];
}

/** Returns the problem of a 101; undefined if the backend switches to the protocol that it was asked for. */
export function switchFault({ rawHeaders }: IncomingMessage, protocol: string): string | undefined {
  const switched = listOf(rawHeaders, "upgrade");
  if (switched.length === 1 && switched[0] === protocol) return undefined;
  return `a switch to ${switched.join(", ") || "no protocol"} instead of ${protocol}`;
}

/** Returns a protocol as the client spells it: a backend may compare SPDY/3.1 with case. */
function spelled(protocol: string, rawHeaders: RawFields): string {
  const items = listItems(fieldValues(rawHeaders, "upgrade"));
  return items.find((item) => item.toLowerCase() === protocol) ?? protocol;
}

/** Returns the items of a field's list, in lower case. */
function listOf(raw: RawFields, name: string): string[] {
  return listItems(fieldValues(raw, name)).map((item) => item.toLowerCase());
}
