import { type Random, spoiled } from "./random-bytes.ts";

const TARGETS = ["/", "/a/b?c=d&e=%20", "/%e2%82%ac", "/a;b=c", "/?x=y?z", "/_~!$&'()*+,;=:@-."];
const FIELDS = [
  "Accept: text/event-stream",
  "Accept:*/*",
  "Last-Event-ID: 42",
  "X-Empty:",
  "X-Blank: \t ",
  "x-inner: a \t b",
  "Cookie: a=b; c=d",
  "Connection: keep-alive",
  "Connection: close",
  "connection: Close",
  "Keep-Alive: timeout=5",
  "TE: trailers",
  "Cache-Control: no-cache",
  'If-None-Match: W/"a"',
  "Accept-Encoding: gzip, br",
  "Forwarded: for=192.0.2.1",
  "__proto__: x",
  "!#$%&'*+.^_`|~-: y",
];
/** Requests that the fast path leaves to node:http, and invalid requests. */
const ODD_FIELDS = [
  "Host: b.test",
  "Content-Length: 0",
  "Content-Length: 3",
  "Content-Length: 1, 1",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: identity",
  "Transfer-Encoding:\x0bchunked",
  "Expect: 100-continue",
  "Upgrade: websocket",
  "Upgrade: h2c",
  "Connection: Upgrade, HTTP2-Settings",
  "Connection: close, X-Sdk-Date",
  "Connection: keep-alive, Upgrade",
  "Connection:",
  "Proxy-Connection: keep-alive",
  "Trailer: X-Sum",
  " folded",
  "\tfolded",
  "X : y",
  "X\ty: z",
  "no colon",
  ": no name",
  "X-Utf8: \xc3\xa9",
  "X-Obs: \xff",
  "X-Nul: a\0b",
  "X-Del: \x7f",
  "X-Bell: \x07",
  "X-CR: a\rb",
  "X-LF: a\nb",
  "X(y): z",
];
const METHODS = ["HEAD", "POST", "get", "GETT", "OPTIONS", "DELETE", "PRI", ""];
const VERSIONS = ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "HTTP/0.9", ""];
const ODD_TARGETS = [
  "*",
  "http://a.test/x",
  "a.test:80",
  "",
  "/a#b",
  "/a b",
  "/\xe9",
  "/a\\b",
  "/\t",
  "//a",
  "?a",
];

/** Returns a request head: an ordinary one, or one with an odd part. */
export function randomRequest({ one, chance, upTo }: Random, host = "a.test"): Buffer {
  const method = chance(0.95) ? "GET" : one(METHODS);
  const target = one(chance(0.93) ? TARGETS : ODD_TARGETS);
  const version = chance(0.95) ? "HTTP/1.1" : one(VERSIONS);
  const fields = Array.from({ length: upTo(6) }, () => one(chance(0.9) ? FIELDS : ODD_FIELDS));
  if (chance(0.95)) fields.splice(upTo(fields.length), 0, `${one(["Host", "host", "HOST"])}: ${host}`);
  const lines = [`${method} ${target} ${version}`, ...fields].join(chance(0.97) ? "\r\n" : one(["\n", "\r"]));
  const behind = chance(0.9) ? "" : one(["x", "\r\n", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"]);
  return Buffer.from(
    `${lines}${chance(0.97) ? "\r\n\r\n" : one(["\r\n", "\n\n", "\r\n\rX", ""])}${behind}`,
    "latin1",
  );
}

/** Returns such a head, or a changed copy. */
export function oddRequest(random: Random, host?: string): Buffer {
  const bytes = randomRequest(random, host);
  return random.chance(0.5) ? bytes : spoiled(bytes, random);
}
