import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openRaw, type RawClient } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";

const LIMIT = 2;
/** How many connections beyond the limit get a refusal. */
const TOLD = 64;
const ASK = "GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n";

/** A gateway whose connections are all taken. */
async function start(more: Record<string, unknown> = {}) {
  const backend = await startBackend();
  const route = { match: { path: "/*" }, upstream: backend.url, cors: true, websocket: true, ...more };
  const server = { limits: { connections: LIMIT } };
  const gateway = await startGateway({ routes: { main: route }, server });
  const streams = [];
  for (let count = 0; count < LIMIT; count++) {
    const client = openStream(gateway.port);
    const request = await backend.nextRequest();
    request.openStream();
    await client.opened();
    streams.push({ client, request });
  }
  return { backend, gateway, streams };
}

const ended = (client: RawClient) => eventually(() => client.ending !== "open", "the connection's end");

test("a connection beyond the limit gets a 503 that a page can read, and is closed; the others stay", async () => {
  const { backend, gateway, streams } = await start();
  const client = await openRaw(gateway.port);
  client.send(ASK);
  await ended(client);
  expect(client.status).toBe(503);
  expect(client.text).toMatch(/\r\nRetry-After: \d+\r\n/);
  expect(client.text).toContain("\r\nAccess-Control-Allow-Origin: *\r\n");
  expect(client.text).toContain("\r\nConnection: close\r\n");
  expect(client.text).toContain("SLUICE.0010");
  expect(backend.requests.length).toBe(LIMIT);
  for (const { client, request } of streams) {
    request.emit("data: on\n\n");
    await client.received("data: on");
  }
  streams[0]?.client.leave();
  const next = await eventually(async () => {
    const client = openStream(gateway.port);
    await eventually(() => client.head !== undefined || backend.requests.length > LIMIT);
    return backend.requests.length > LIMIT && client;
  }, "a place");
  backend.requests.at(-1)?.openStream();
  expect(next && (await next.opened()).status).toBe(200);
});

// Earlier, an upgrade passed the limit: its connection was counted, but served.
test("a WebSocket on a connection beyond the limit is refused, too", async () => {
  const { backend, gateway } = await start();
  const client = await openRaw(gateway.port);
  client.send(handshake());
  await ended(client);
  expect(client.status).toBe(503);
  expect(backend.requests.length).toBe(LIMIT);
});

test("with onRefusal: retry an EventSource beyond the limit gets a time to reconnect", async () => {
  const { gateway } = await start({ stream: { onRefusal: "retry" } });
  const client = openStream(gateway.port, { headers: { Accept: "text/event-stream" } });
  await client.ended();
  expect(client.head?.status).toBe(200);
  expect(client.text).toMatch(/\nretry: \d+\n\n$/);
});

test("connections far beyond the limit are closed without a response", async () => {
  const { gateway } = await start();
  const told: RawClient[] = [];
  for (let count = 0; count < TOLD; count++) told.push(await openRaw(gateway.port));
  const silent = await openRaw(gateway.port);
  await ended(silent);
  expect(silent.text).toBe("");
  told[0]?.send(ASK);
  if (told[0] !== undefined) await ended(told[0]);
  expect(told[0]?.status).toBe(503);
});
