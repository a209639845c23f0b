import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";

/** Returns a request with Host and these further lines; `$HOST` is the gateway's own. */
const get = (target: string, ...lines: string[]) =>
  ["GET ".concat(target, " HTTP/1.1"), "Host: $HOST", ...lines, "", ""].join("\r\n");
const post = (...lines: string[]) => ["POST /x HTTP/1.1", "Host: $HOST", ...lines].join("\r\n");

type Row = [name: string, request: string, statuses: number | readonly number[]];

/** Requests that two parsers could read in two ways. */
const REFUSED: readonly Row[] = [
  // Framing: where does the request end?
  ["CL and TE", post("Content-Length: 5", "Transfer-Encoding: chunked", "", "0\r\n\r\nG"), 400],
  ["TE and CL", post("Transfer-Encoding: chunked", "Content-Length: 5", "", "0\r\n\r\nG"), 400],
  ["two equal CL", post("Content-Length: 2", "Content-Length: 2", "", "{}"), 400],
  ["two different CL", post("Content-Length: 2", "Content-Length: 3", "", "{}"), 400],
  ...["+1", "-1", "0x1", "1, 1", "", "1 0", "1180591620717411303424", "1e0", "1.0"].map(
    (length): Row => [`CL ${JSON.stringify(length)}`, post(`Content-Length: ${length}`, "", "a"), 400],
  ),
  ...[
    "identity",
    "xchunked",
    "chunked, identity",
    "gzip, chunked",
    "chunked, chunked",
    "gzip",
    "chunked;x=y",
  ].map((coding): Row => [`TE ${coding}`, post(`Transfer-Encoding: ${coding}`, "", "0\r\n\r\n"), [400, 501]]),
  ["two TE", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "", "0\r\n\r\n"), 400],
  [
    "TE chunked and TE identity",
    post("Transfer-Encoding: chunked", "Transfer-Encoding: identity", "", "0\r\n\r\n"),
    400,
  ],
  ["TE behind a vertical tab", post("Transfer-Encoding:\x0bchunked", "", "0\r\n\r\n"), 400],
  ["TE on HTTP/1.0", "POST /x HTTP/1.0\r\nHost: $HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
  ["chunk size +2", post("Transfer-Encoding: chunked", "", "+2\r\nab\r\n0\r\n\r\n"), 400],
  ["chunk size 0x2", post("Transfer-Encoding: chunked", "", "0x2\r\nab\r\n0\r\n\r\n"), 400],
  [
    "chunk size of 17 digits",
    post("Transfer-Encoding: chunked", "", "10000000000000002\r\nab\r\n0\r\n\r\n"),
    400,
  ],
  ["chunk line ended by LF", post("Transfer-Encoding: chunked", "", "2\nab\r\n0\r\n\r\n"), 400],
  ["LF in a chunk extension", post("Transfer-Encoding: chunked", "", "2;a\nb\r\nab\r\n0\r\n\r\n"), 400],
  // Lines and fields: where does a field end, and what is its name?
  ["folded field", get("/", "X-A: 1", " folded"), 400],
  ["folded TE", post("Transfer-Encoding:", " chunked", "", "0\r\n\r\n"), 400],
  ["blank before the first field", "GET / HTTP/1.1\r\n Host: $HOST\r\n\r\n", 400],
  ["bare LF", "GET / HTTP/1.1\nHost: $HOST\n\n", [400, 505]],
  ["bare LF in one field", "GET / HTTP/1.1\r\nHost: $HOST\r\nX-A: 1\nX-B: 2\r\n\r\n", 400],
  ["bare CR in a field", get("/", "X-A: 1\rX-B: 2"), 400],
  ["CR LF CR X as the end", "GET / HTTP/1.1\r\nHost: $HOST\r\n\rX", 400],
  ["NUL in a value", get("/", "X-A: a\0b"), 400],
  ["NUL in a name", get("/", "X\0A: b"), 400],
  ["control character in a value", get("/", "X-A: a\x01b"), 400],
  ["blank before the colon", get("/", "X-A : b"), 400],
  ["blank before the colon of TE", post("Transfer-Encoding : chunked", "", "0\r\n\r\n"), 400],
  ["empty name", get("/", ": b"), 400],
  ["no colon", get("/", "X-A"), 400],
  // Host: which server is meant?
  ["no Host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two Hosts", get("/", "Host: evil.example"), 400],
  ["two equal Hosts", get("/", "Host: $HOST"), 400],
  ...["a/b", "a@b", "a b", "a:b", "a:1:2", "http://a", "[::1", "a\\b", "a?b", "a#b"].map(
    (host): Row => [`Host ${host}`, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 400],
  ),
  // Target: which resource is meant?
  ["absolute-form of another host", get("http://evil.example/x"), 400],
  ["absolute-form of another port", get("http://127.0.0.1:1/x"), 400],
  ["absolute-form with credentials", get("http://a@$HOST/x"), 400],
  ["absolute-form of another scheme", get("ftp://$HOST/x"), 400],
  ["absolute-form without authority", get("http:///x"), 400],
  ["authority-form", get("$HOST"), 400],
  ["GET *", get("*"), 400],
  ["*/x", get("*/x"), 400],
  ["no slash", get("x"), 400],
  ["..", get("/a/../b"), 400],
  ["..  at the end", get("/a/.."), 400],
  [".", get("/a/./b"), 400],
  ["%2e%2e", get("/a/%2e%2e/b"), 400],
  [".%2E", get("/a/.%2E/b"), 400],
  ["%2e", get("/%2e/b"), 400],
  ["..;", get("/a/..;x/b"), 400],
  ["..%2f", get("/a/..%2fb"), 400],
  ["%2f..", get("/a%2f../b"), 400],
  ["backslash", get("/a\\b"), 400],
  ["backslash and dots", get("/a\\..\\b"), 400],
  ["%5c", get("/a%5c..%5cb"), 400],
  ["%00", get("/a%00b"), 400],
  ["%zz", get("/a%zz"), 400],
  ["% at the end", get("/a%"), 400],
  ["%2 at the end", get("/a%2"), 400],
  ["fragment", get("/a#b"), 400],
  ["fragment in the query", get("/a?b#c"), 400],
  ["bytes beyond ASCII", get("/caf\xe9"), 400],
  ["blank in the target", get("/a b"), [400, 505]],
  ["tab in the target", get("/a\tb"), 400],
  // Version and method.
  ["HTTP/0.9", "GET /\r\n\r\n", [400, 505]],
  ["HTTP/2.0 on HTTP/1.1", get("/").replace("HTTP/1.1", "HTTP/2.0"), [400, 505]],
  ["HTTP/1.1x", get("/").replace("HTTP/1.1", "HTTP/1.1x"), [400, 505]],
  ["CONNECT", get("$HOST").replace("GET", "CONNECT"), [400, 405]],
  ["the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 405, 505]],
  ["PRI in HTTP/1.1", get("*").replace("GET", "PRI"), [400, 405, 505]],
  ["PRI in HTTP/1.2", get("/").replace("GET", "PRI").replace("HTTP/1.1", "HTTP/1.2"), [400, 405, 505]],
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
  ["bytes that are not HTTP", "\x00\x01\x02 nonsense\r\n\r\n", 400],
  // Bounds.
  ["a target beyond headerBytes", get(`/${"a".repeat(20_000)}`), [414, 431]],
  ["a field beyond headerBytes", get("/", `X-A: ${"a".repeat(20_000)}`), 431],
  ["101 fields", get("/", ...Array.from({ length: 100 }, (_, n) => `X-${n}: 1`)), 431],
  [
    "2000 short fields, of which Node 20 would drop half",
    get("/", ...Array.from({ length: 2000 }, () => "A:1")),
    431,
  ],
  ["an unknown expectation", post("Expect: the-moon", "Content-Length: 2", "", "{}"), 417],
];

test.each(REFUSED)("refused without a byte at the backend: %s", async (_name, request, statuses) => {
  const backend = await startBackend((received) => received.respond());
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const bytes = request.replaceAll("$HOST", gateway.host);
  // A second request follows: a parser that misreads the end of the first would serve it.
  const response = await rawRequest(
    gateway.port,
    `${bytes}GET /smuggled HTTP/1.1\r\nHost: ${gateway.host}\r\n\r\n`,
  );
  expect([statuses].flat()).toContain(response.status);
  expect(response.ending).not.toBe("open");
  expect(response.text.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
  const [head = "", body = ""] = response.text.split("\r\n\r\n");
  expect(head).toMatch(/^Connection: close$/im);
  expect(head).toMatch(/^Content-Type: application\/json/im);
  const id = /^X-Request-Id: (.+)$/im.exec(head)?.[1];
  expect(JSON.parse(body)).toEqual({
    error_code: expect.stringMatching(/^(APIG|SLUICE)\.\d{4}$/),
    error_msg: expect.any(String),
    request_id: id,
    error: { message: expect.any(String), type: expect.any(String), code: expect.any(String) },
  });
  expect(head).not.toMatch(/^(Server|X-Powered-By):/im);
  // A malformed chunked body may be forwarded up to the error, but never the bytes after it.
  const isLateFault = /^POST[\s\S]*chunked\r\n\r\n/.test(bytes) && !/\r\n\r\n0\r\n/.test(bytes);
  if (!isLateFault) expect(backend.bytesReceived).toBe(0);
  expect(backend.requests.filter(({ target }) => target === "/smuggled")).toEqual([]);
  expect(backend.requests.filter(({ isComplete }) => isComplete)).toEqual([]);
  expect((await gateway.requestLine())["status"]).toBe(response.status);
});

test.each([
  "TE gzip, chunked",
  "TE on HTTP/1.0",
  "two Hosts",
  "Host a@b",
  "absolute-form of another host",
  "GET *",
  "backslash and dots",
  "%2e%2e",
  "%zz",
  "fragment",
  "HTTP/2.0 on HTTP/1.1",
  "101 fields",
])("control: a bare Node server serves %s", async (wanted) => {
  const server = http.createServer((_request, response) => response.end("served"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const request = REFUSED.find(([name]) => name === wanted)?.[1] ?? "";
  const bytes = request.replaceAll("$HOST", `127.0.0.1:${port}`);
  expect((await rawRequest(port, bytes, { until: "served" })).status).toBe(200);
});

/** Targets that look odd but have only one reading: they are forwarded byte for byte. */
const SERVED: readonly [name: string, target: string][] = [
  ["an encoded slash", "/api%2Fx%2f..y"],
  ["an encoded per cent", "/a%252e%252e/b"],
  ["encoded letters", "/%61%4Aa?%61=%2e%2e%2f"],
  ["empty segments", "//a//b/"],
  ["dots within segments", "/a/..b/.c/d..e/..."],
  ["dots in the query", "/a?../../b"],
  ["path parameters", "/a;v=1/b;c"],
  ["every character that is allowed", "/-._~!$&'()*+,;=:@?/?-._~!$&'()*+,;=:@"],
  ["bare per cents in the query", "/a?q=100%&b=%zz&c=%u00e9&d=%2"],
  ["brackets and quotes in the query", '/a?b[]=%5B"|^`{}'],
  ["encoded bytes beyond ASCII", "/caf%C3%A9/%ff"],
];

test.each(SERVED)("served, and the backend gets the same bytes: %s", async (_name, target) => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const request = get(target).replaceAll("$HOST", gateway.host);
  const response = await rawRequest(gateway.port, request, { until: "ok" });
  expect(response.status).toBe(200);
  expect(backend.requests.map((received) => received.target)).toEqual([target]);
});

test.each([
  ["http://a.test:80/x", "A.test"],
  ["http://a.test/x", "a.test:80"],
  ["HTTPS://a.test:443/x", "a.test"],
])("absolute-form with the default port is the same host: %s, Host: %s", async (target, host) => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const response = await rawRequest(gateway.port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, {
    until: "ok",
  });
  expect(response.status).toBe(200);
  expect(backend.requests[0]?.target).toBe("/x");
  expect(backend.requests[0]?.fieldLines("host")).toEqual([host]);
});

test.each([
  ["http://a.test:443/x", "a.test"],
  ["https://a.test:80/x", "a.test"],
  ["http://a.test/x", "a.test:443"],
])("absolute-form with another port is another host: %s, Host: %s", async (target, host) => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url);
  const response = await rawRequest(gateway.port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  expect(response.status).toBe(400);
  expect(backend.bytesReceived).toBe(0);
});

test.each([
  ["GET", ""],
  ["POST", "{}"],
])("HTTP/1.2 is served as HTTP/1.1: %s", async (method, body) => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
  const request = `${method} /x HTTP/1.2\r\nHost: a\r\n${length}\r\n${body}`;
  const response = await rawRequest(gateway.port, request, { until: "ok" });
  expect(response.text).toMatch(/^HTTP\/1\.1 200 /);
  expect(backend.requests[0]?.body.toString()).toBe(body);
});

test("absolute-form of the same host is reduced to its path, once", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGateway({ routes: { only: { match: { path: "/x" }, upstream: backend.url } } });
  const response = await rawRequest(
    gateway.port,
    `GET http://${gateway.host}/x?y=http://a/ HTTP/1.1\r\nHost: ${gateway.host}\r\n\r\n`,
    { until: "ok" },
  );
  expect(response.status).toBe(200);
  expect(backend.requests[0]?.target).toBe("/x?y=http://a/");
  expect(backend.requests[0]?.fieldLines("host")).toEqual([gateway.host]);
});

test("OPTIONS * is answered here and never reaches a backend", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(`OPTIONS * HTTP/1.1\r\nHost: ${gateway.host}\r\n\r\n`);
  await eventually(() => client.status);
  expect([200, 204]).toContain(client.status);
  expect(backend.bytesReceived).toBe(0);
});

test("TRACE is not forwarded, because it would show a page the fields of its browser", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url);
  const request = get("/", "Cookie: secret=1").replace("GET", "TRACE").replaceAll("$HOST", gateway.host);
  const response = await rawRequest(gateway.port, request, { until: "}" });
  expect(response.status).toBe(405);
  expect(response.text).toMatch(/^Allow: /m);
  expect(response.text).not.toContain("secret");
  expect(backend.bytesReceived).toBe(0);
});

test("100 fields are served", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const request = get("/", ...Array.from({ length: 99 }, (_, n) => `X-${n}: 1`)).replaceAll(
    "$HOST",
    gateway.host,
  );
  expect((await rawRequest(gateway.port, request, { until: "ok" })).status).toBe(200);
  expect(backend.requests[0]?.field("x-98")).toBe("1");
});

test("field names that are properties of Object are ordinary fields", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const request = get("/", "__proto__: 1", "constructor: 2", "hasOwnProperty: 3").replaceAll(
    "$HOST",
    gateway.host,
  );
  expect((await rawRequest(gateway.port, request, { until: "ok" })).status).toBe(200);
  expect(backend.requests[0]?.fieldLines("__proto__")).toEqual(["1"]);
  expect(backend.requests[0]?.fieldLines("constructor")).toEqual(["2"]);
});

test("bytes after a request with Connection: close are not a second request", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const one = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${gateway.host}\r\nConnection: close\r\n\r\n`;
  const response = await rawRequest(gateway.port, one("/a") + one("/b"));
  expect(response.ending).toBe("end");
  expect(backend.requests.map(({ target }) => target)).toEqual(["/a"]);
});

test.each(["h2c", "TLS/1.0", "websocket"])(
  "an upgrade to %s that no route forwards is served without the upgrade",
  async (to) => {
    const backend = await startBackend((request) => request.respond(200, {}, "ok"));
    const gateway = await startGatewayTo(backend.url);
    const request = get(
      "/x",
      "Connection: Upgrade, HTTP2-Settings",
      `Upgrade: ${to}`,
      "HTTP2-Settings: AAMAAABkAAQAAP__",
    ).replaceAll("$HOST", gateway.host);
    const response = await rawRequest(gateway.port, request, { until: "\r\n\r\nok" });
    expect([200, 400]).toContain(response.status);
    for (const received of backend.requests) {
      expect(received.field("upgrade")).toBeUndefined();
      expect(received.field("http2-settings")).toBeUndefined();
      expect(received.field("connection") ?? "").not.toMatch(/upgrade/i);
    }
  },
);
