import { ProxyError } from "../base/errors.ts";

// RFC 9110 section 7.2: reg-name or IP literal, and a port. Node lets `a/b@c` pass.
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;

/** What Allow says where a method is refused on every route. */
export const FORWARDED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/** What a request head says, however it was read. */
interface Head {
  readonly method: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

/**
 * Checks the parts of a request head that Node's parser lets through although they can be read in two ways,
 * and returns the Host, empty for an HTTP/1.0 request without one.
 *
 * Works on `rawHeaders`, because `headers` hides duplicates.
 */
export function checkHead(request: Head, maxFields: number): string {
  const { httpVersion, rawHeaders } = request;
  if (httpVersion !== "1.1" && httpVersion !== "1.0") {
    throw new ProxyError("version_not_supported", `HTTP/${httpVersion}`);
  }
  // It would send a request's credentials back in a body (RFC 9110 section 9.3.8); nginx refuses it too.
  if (request.method === "TRACE") {
    throw new ProxyError("method_not_allowed", "TRACE", { fields: [["Allow", FORWARDED_METHODS]] });
  }
  if (rawHeaders.length / 2 > maxFields) throw new ProxyError("header_overflow", "too many header fields");
  let host: string | undefined;
  let hasTransferEncoding = false;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase();
    const value = rawHeaders[at + 1] as string;
    if (name === "host") {
      if (host !== undefined) throw new ProxyError("bad_request", "Host occurs twice");
      host = value;
    } else if (name === "transfer-encoding") {
      // RFC 9112 section 6.1: HTTP/1.0 has no transfer codings, and a proxy that ignores them can be split.
      if (hasTransferEncoding || value.toLowerCase() !== "chunked" || httpVersion === "1.0") {
        throw new ProxyError("bad_request", "Transfer-Encoding other than one chunked on HTTP/1.1");
      }
      hasTransferEncoding = true;
    }
  }
  if (host === undefined && httpVersion === "1.1") throw new ProxyError("bad_request", "no Host");
  if (host !== undefined && !HOST.test(host)) throw new ProxyError("bad_request", "invalid Host");
  return host ?? "";
}

/** The host of a Host field without its port and, as in nginx, without a final dot; in lower case, as routes have it. */
export function hostName(host: string): string {
  return host.replace(/\.?(?::\d*)?$/, "").toLowerCase();
}
