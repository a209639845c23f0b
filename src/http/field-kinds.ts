/** Fields of one connection (RFC 9110 section 7.6.1), with the old ones that are still seen. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  // Node throws on Trailer unless the body is chunked: whoever sends trailers on announces them again.
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Fields of a request that are the gateway's to set or to answer; what came under these names goes. */
export const SET_BY_GATEWAY: ReadonlySet<string> = new Set([
  // The gateway itself answers 100-continue, so a second hop must not be asked for it again.
  "expect",
  "forwarded",
  // Of no meaning in HTTP, but CGI makes HTTP_PROXY of it, which many clients take for a setting (CVE-2016-5385).
  "proxy",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
  "x-request-id",
]);
