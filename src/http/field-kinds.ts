/** Fields of one connection (RFC 9110 section 7.6.1), including old ones that still occur. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  // Node throws on Trailer unless the body is chunked; it is added again where trailers are forwarded.
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Fields that frame a body. */
export const FRAMING: ReadonlySet<string> = new Set(["content-length", "transfer-encoding"]);

/** Request fields that the gateway sets or acts on itself; a client's fields of these names are dropped. */
export const SET_BY_GATEWAY: ReadonlySet<string> = new Set([
  // The gateway itself responds to 100-continue, so the backend must not get the field.
  "expect",
  "forwarded",
  // It has no meaning in HTTP, but CGI turns it into HTTP_PROXY, which many programs use as a setting (CVE-2016-5385).
  "proxy",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-real-ip",
  "x-request-id",
]);
