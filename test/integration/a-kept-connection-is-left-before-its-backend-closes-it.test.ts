import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";

/** A route to a backend with these keys of its upstream. */
const to = (url: string, keys: Readonly<Record<string, unknown>> = {}) => ({
  upstream: { backends: [{ url }], ...keys },
});

const COUNT = 25;

/** Starts Node's own server, which closes idle connections after 2 s; with or without the Keep-Alive field. */
async function startServer({ hints }: { hints: boolean }) {
  const held: http.ServerResponse[] = [];
  const server = http.createServer((request, response) => {
    // Node sends Keep-Alive unless the application sets Connection.
    if (!hints) response.setHeader("Connection", "keep-alive");
    request.resume();
    if (request.method === "POST") response.end("posted");
    else held.push(response);
    // All at once, so that each has a connection of its own.
    if (held.length === COUNT) for (const one of held.splice(0)) one.end("got");
  });
  server.keepAliveTimeout = 2_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  afterTest(() => void server.closeAllConnections());
  afterTest(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.each([
  ["with the default", { hints: false }, {}],
  ["with a longer keepAlive and the backend's Keep-Alive field", { hints: true }, { keepAlive: "1m" }],
])("no POST fails at a backend that closes idle connections after 2 s: %s", async (_name, hints, keys) => {
  const url = await startServer(hints);
  const gateway = await startGatewayTo("", to(url, keys));
  await Promise.all(Array.from({ length: COUNT }, () => fetch(gateway.url).then((got) => got.text())));
  const statuses = await Promise.all(
    Array.from({ length: COUNT }, async (_, n) => {
      await delay(1_900 + n * 8);
      const posted = await fetch(gateway.url, { method: "POST", body: "{}" });
      await posted.text();
      return posted.status;
    }),
  );
  expect(statuses).toEqual(Array.from({ length: COUNT }, () => 200));
});

test("by default no request is sent on a connection that was idle for more than 1.5 s", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url);
  for (let n = 0; n < 2; n++) {
    await (await fetch(gateway.url, { method: "POST", body: "{}" })).text();
    await delay(1_600);
  }
  expect(backend.connections.map(({ requests }) => requests.length)).toEqual([1, 1]);
});

test("the timeout of Keep-Alive ends an idle connection before keepAlive does", async () => {
  const backend = await startBackend((request) => request.respond(200, { "Keep-Alive": "timeout=1" }));
  const gateway = await startGatewayTo("", to(backend.url, { keepAlive: "1m" }));
  await fetch(gateway.url);
  await eventually(() => backend.connections[0]?.closedBy === "fin", "the end of the idle connection");
});

test("max of Keep-Alive bounds the requests of a connection", async () => {
  const backend = await startBackend((request) => request.respond(200, { "Keep-Alive": "max=3" }));
  const gateway = await startGatewayTo("", to(backend.url, { keepAlive: "1m" }));
  for (let n = 0; n < 7; n++) await fetch(gateway.url);
  expect(backend.connections.map(({ requests }) => requests.length)).toEqual([3, 3, 1]);
});

test("keepAlive: off opens a connection for each request", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo("", to(backend.url, { keepAlive: "off" }));
  for (let n = 0; n < 3; n++) await fetch(gateway.url);
  expect(backend.connections.map(({ requests }) => requests.length)).toEqual([1, 1, 1]);
  expect(backend.requests.map((request) => request.field("connection"))).toEqual(["close", "close", "close"]);
});

const POST = "POST /pay HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";

test.each([
  ["FIN", (socket: { end(): unknown }) => socket.end()],
  [
    "a 408",
    (socket: { end(last: string): unknown }) => socket.end("HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"),
  ],
])(
  "a POST gets another connection if %s on the idle one is there before its first byte",
  async (_name, close) => {
    const backend = await startBackend((request) => request.respond(200, {}, request.method));
    const gateway = await startGatewayTo(backend.url);
    const client = await openRaw(gateway.port);
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.received("GET");
    const idle = backend.connections[0]?.socket;
    // In one turn, and the request first: so the gateway reads both in one turn of the event loop, in this order.
    client.send(POST);
    if (idle !== undefined) close(idle);
    await client.received("POST");
    expect(client.text.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200"]);
    expect(backend.connections.map(({ requests }) => requests.length)).toEqual([1, 1]);
  },
);
