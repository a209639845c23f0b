import { ProxyError } from "../base/errors.ts";
import { fieldName } from "./field-name.ts";

// RFC 9110 section 7.2: reg-name or IP literal, and a port. Node lets `a/b@c` pass.
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;

/** A field name of HTTP/2, which is always in lower case. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** The Allow value for a method that is refused on every route. */
export const FORWARDED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** A request head, read by any of the parsers. */
interface Head {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

/**
 * Checks the parts of a request head that Node's parsers accept although two servers could read them in two ways.
 * Returns the Host, empty for an HTTP/1.0 request without one; throws a ProxyError.
 *
 * Uses `rawHeaders`, because Node's `headers` hides duplicates.
 */
export function checkHead(request: Head, maxFields: number): string {
  const { httpVersion, rawHeaders } = request;
  if (httpVersion === "2.0") checkHttp2Head(request);
  else if (httpVersion !== "1.1" && httpVersion !== "1.0") {
    throw new ProxyError("version_not_supported", `HTTP/${httpVersion}`);
  }
  // TRACE sends a request's credentials back in the body (RFC 9110 section 9.3.8); nginx refuses it too.
  if (/^trace$/i.test(request.method)) {
    throw new ProxyError("method_not_allowed", "TRACE", { fields: [["Allow", FORWARDED_METHODS]] });
  }
  if (rawHeaders.length / 2 > maxFields) throw new ProxyError("header_overflow", "too many header fields");
  let host: string | undefined;
  let hasTransferEncoding = false;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const { lower: name } = fieldName(rawHeaders[at] as string);
    const value = rawHeaders[at + 1] as string;
    if (name === "host") {
      if (host !== undefined) throw new ProxyError("bad_request", "Host occurs twice");
      host = value;
    } else if (name === "transfer-encoding") {
      // RFC 9112 section 6.1: HTTP/1.0 has no transfer codings, and a proxy that ignores them can be split.
      if (hasTransferEncoding || value.toLowerCase() !== "chunked" || httpVersion === "1.0") {
        throw new ProxyError("bad_request", "Transfer-Encoding other than a single chunked on HTTP/1.1");
      }
      hasTransferEncoding = true;
    }
  }
  if (host === undefined && httpVersion !== "1.0") throw new ProxyError("bad_request", "no Host");
  // RFC 9112 section 3.2: an empty Host is valid; docker build sends it.
  const isEmpty = host === "" && httpVersion !== "2.0";
  if (host !== undefined && !isEmpty && !HOST.test(host)) throw new ProxyError("bad_request", "invalid Host");
  return host ?? "";
}

/** Fields that frame or control an HTTP/1 connection; they make an HTTP/2 request malformed. */
const HTTP1_ONLY: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Refuses an HTTP/2 head that, written as HTTP/1, would have another meaning or additional fields (RFC 9113 sections
 * 8.2 and 8.3.1).
 */
function checkHttp2Head({ method, url, rawHeaders }: Head): void {
  const isTarget = url.startsWith("/") || (url === "*" && method === "OPTIONS");
  if (!isTarget) throw new ProxyError("bad_request", ":path is not a path");
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    const value = rawHeaders[at + 1] ?? "";
    if (HTTP1_ONLY.has(name)) throw new ProxyError("bad_request", `${name} in HTTP/2`);
    if (name === "te" && value !== "trailers") throw new ProxyError("bad_request", "TE other than trailers");
    if (!TOKEN.test(name)) throw new ProxyError("bad_request", "invalid field name");
    if (/^[ \t]|[ \t]$|[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      throw new ProxyError("bad_request", "invalid field value");
    }
  }
}

/** Returns the host of a Host field, in lower case as in routes, without its port and, as in nginx, a final dot. */
export function hostName(host: string): string {
  // Most hosts: replacing costs more than the lookup of the route.
  if (/^[a-z0-9-.]*[a-z0-9-]$/.test(host)) return host;
  return host.replace(/\.?(?::\d*)?$/, "").toLowerCase();
}
