import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { settled, startBareHttpProxy } from "../support/bare-http-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

// http-proxy gave DELETE and OPTIONS `Content-Length: 0`, removed Transfer-Encoding and still sent the body: a
// chunked body in the form of a request reached the backend as a second request (GHSA-ggv3-7p47-pfv8).

const HIDDEN = "GET /admin HTTP/1.1\r\nHost: backend\r\nX-Tail: ";

const attack = (method: string): string =>
  `${method} /item HTTP/1.1\r\nHost: sluice.test\r\nTransfer-Encoding: chunked\r\n\r\n` +
  `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`;

test.each(["DELETE", "OPTIONS"])(
  "control: http-proxy turns a chunked %s into two requests",
  async (method) => {
    const backend = await startBackend();
    const { port } = await startBareHttpProxy(backend.url);
    (await openRaw(port)).send(attack(method));
    const { connection } = await backend.nextRequest();
    await eventually(() => connection.received.includes(HIDDEN), "the body");
    await settled();
    const text = connection.received.toString();
    expect(text).toContain("content-length: 0");
    // The bytes after a head with length 0 are the next request for the backend.
    expect(text.slice(text.indexOf("\r\n\r\n") + 4)).toBe(HIDDEN);
  },
);

test.each(["DELETE", "OPTIONS", "GET", "POST"])(
  "a chunked %s is one request, with its body",
  async (method) => {
    const backend = await startBackend((request) => {
      void request.wholeBody().then(() => request.respond(200, {}, "done"));
    });
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(gateway.port);
    client.send(attack(method));
    await client.received("done");
    await settled();
    expect(backend.requests.map(({ method: seen, target }) => [seen, target])).toEqual([[method, "/item"]]);
    const [request] = backend.requests;
    expect(request?.field("transfer-encoding")).toBe("chunked");
    expect(request?.fieldLines("content-length")).toEqual([]);
    expect(request?.body.toString()).toBe(HIDDEN);
  },
);

test("a connection is not reused after a chunked body", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then(() => request.respond(200, {}, request.target));
  });
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(attack("DELETE"));
  await client.received("/item");
  client.send("GET /next HTTP/1.1\r\nHost: sluice.test\r\n\r\n");
  await client.received("/next");
  expect(backend.connections.map(({ requests }) => requests.length)).toEqual([1, 1]);
});

test("a body cannot hide in a WebSocket handshake", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  for (const framing of [{ "Content-Length": "5" }, { "Transfer-Encoding": "chunked" }]) {
    const client = await openRaw(gateway.port);
    client.send(handshake("/", framing));
    await client.ended();
    expect(client.status).toBe(400);
  }
  expect(backend.requests).toEqual([]);
});
