import type { ServerHttp2Stream } from "node:http2";
import { expect, test } from "vitest";
import { sendFields } from "../../src/listen/http2-fields.ts";
import { Http2Response } from "../../src/listen/http2-response.ts";
import { startBackend } from "../support/backend.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";

// Node's HTTP/2 throws for fields that HTTP/1 accepts. The throw came in a callback of Node and ended the process.

/** Names that Node sends only once, and others that a backend may repeat. */
const REPEATED = [
  "Access-Control-Max-Age",
  "Age",
  "Content-Language",
  "Content-Location",
  "Content-MD5",
  "DNT",
  "ETag",
  "Last-Modified",
  "Link",
  "Location",
  "Referer",
  "Retry-After",
  "Server",
  "Tk",
  "User-Agent",
  "WWW-Authenticate",
  "X-Content-Type-Options",
  "__proto__",
  "constructor",
];
const NEVER = ["Connection", "Keep-Alive", "Proxy-Connection", "HTTP2-Settings", "Upgrade", "TE"];

const lines = (names: readonly string[]) =>
  names.map((name) => `${name}: a\r\n${name.toLowerCase()}: b\r\n`).join("");

test("a backend's repeated trailers arrive over HTTP/2, each as one list", async () => {
  const backend = await startBackend((request) => {
    const head =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: ETag\r\n\r\n";
    request.send(`${head}5\r\nhello\r\n0\r\n${lines([...REPEATED, ...NEVER])}X-Sum: 1\r\n\r\n`);
  });
  const gateway = await startSecureGatewayTo(backend.url);
  const client = await openHttp2(gateway.port);
  const exchange = client.request();
  expect(await exchange.closed()).toBe(0);
  expect(exchange.text).toBe("hello");
  expect(exchange.trailers?.["etag"]).toBe("a, b");
  expect(exchange.trailers?.["x-sum"]).toBe("1");
  for (const name of NEVER) expect(exchange.trailers?.[name.toLowerCase()]).toBeUndefined();
  // The connection stays open.
  expect(await client.request().closed()).toBe(0);
  expect((await gateway.requestLine())["endReason"]).toBe("completed");
});

test("a backend's repeated fields arrive over HTTP/2, each as one list", async () => {
  const backend = await startBackend((request) => {
    request.send(
      `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: a\r\nDate: b\r\n${lines([...REPEATED, ...NEVER])}\r\nok`,
    );
  });
  const gateway = await startSecureGatewayTo(backend.url);
  const exchange = (await openHttp2(gateway.port)).request();
  expect(await exchange.closed()).toBe(0);
  expect(exchange.text).toBe("ok");
  expect(exchange.headers?.["etag"]).toBe("a, b");
  expect(exchange.headers?.["location"]).toBe("a, b");
});

test.each(["204", "304"])(
  "trailers are not announced with a %s, nor its fields lost, over HTTP/2",
  async (status) => {
    const backend = await startBackend((request) => {
      request.send(
        `HTTP/1.1 ${status} X\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nETag: "a"\r\n\r\n`,
      );
    });
    const gateway = await startSecureGatewayTo(backend.url);
    const exchange = (await openHttp2(gateway.port)).request();
    expect(await exchange.closed()).toBe(0);
    expect(exchange.status).toBe(Number(status));
    expect(exchange.headers).toMatchObject({ etag: '"a"' });
    expect(exchange.headers).not.toHaveProperty("trailer");
  },
);

test.each([
  ["a line break in a value", ["X-A", "1\r\nX-B: 2"]],
  ["a character of two bytes", ["X-A", "\u010d\u010a"]],
  ["a name with a blank", ["X A", "1"]],
  ["a pseudo-field", [":status", "200"]],
  ["an empty name", ["", "1"]],
])("%s is never sent as a field", (_, fields) => {
  expect(() => sendFields(fields, () => expect.unreachable())).toThrow(TypeError);
});

test("blanks around a value, which make a message malformed, are removed", () => {
  sendFields(["X-A", " \t1 2\t ", "X-B", " "], (headers) =>
    expect(headers).toEqual({ "x-a": "1 2", "x-b": "" }),
  );
});

test("a head or trailers that cannot be sent reset their stream and do not throw in a callback of Node", async () => {
  const calls: string[] = [];
  const listeners = new Map<string, () => void>();
  const stream = {
    on: () => stream,
    once: (name: string, listener: () => void) => listeners.set(name, listener),
    close(code: number) {
      calls.push(`close ${code}`);
      stream.closed = true;
    },
    respond: () => calls.push("respond"),
    closed: false,
  };
  const response = () => {
    stream.closed = false;
    return new Http2Response(stream as unknown as ServerHttp2Stream, undefined);
  };
  const broken = response();
  broken.writeHead(200, undefined, ["X-A", "\r\n"]);
  expect(() => broken.flushHead()).toThrow(TypeError);
  broken.breakOff();
  expect(calls).toEqual(["close 2"]);
  Object.assign(stream, { end() {}, sendTrailers: () => calls.push("sendTrailers") });
  const late = response();
  late.writeHead(200, undefined, []);
  late.end(Buffer.from("x"), [["X-A", "\r\n"]]);
  listeners.get("wantTrailers")?.();
  expect(calls).toEqual(["close 2", "respond", "close 2"]);
});
