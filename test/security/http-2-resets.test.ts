import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startSecureGatewayTo } from "../support/http2-client.ts";
import {
  CODE,
  END_HEADERS,
  END_STREAM,
  FRAME,
  frame,
  get,
  hpack,
  openFrames,
  uint32,
} from "../support/http2-frames.ts";

const HEAD = hpack(get());
const open = (stream: number) => frame(FRAME.headers, END_HEADERS | END_STREAM, stream, HEAD);

/** SETTINGS_INITIAL_WINDOW_SIZE of 0: the client gets response heads, but no byte of a body. */
const NO_WINDOW = frame(FRAME.settings, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));

test.each([
  ["NO_ERROR", CODE.none],
  ["CANCEL", CODE.cancel],
])("streams that are reset with %s right after their heads count too", async (_, code) => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, {}, {}, { http2: { maxResets: 5 } });
  const client = await openFrames(gateway.port);
  for (let stream = 1; stream < 100 && !client.isClosed; stream += 2) {
    client.send(open(stream));
    await client.settled(stream);
    client.send(frame(FRAME.reset, 0, stream, uint32(code)));
    await delay(1);
  }
  await client.closed();
  expect(client.goawayCode()).toBe(CODE.calm);
  await eventually(() => backend.openConnections === 0, "every backend connection to close");
});

test.each([
  [
    "a stream",
    (request: BackendRequest) => {
      request.openStream();
      request.emit("data: 1\n\n");
    },
  ],
  ["a large response", (request: BackendRequest) => request.respond(200, {}, "x".repeat(1_000_000))],
])("a client that resets %s with NO_ERROR without reading it leaves no state", async (_, script) => {
  const backend = await startBackend(script);
  const gateway = await startSecureGatewayTo(backend.url, {}, {}, { http2: { maxResets: 1000 } });
  const client = await openFrames(gateway.port);
  client.send(NO_WINDOW);
  const streams = Array.from({ length: 20 }, (_, at) => 2 * at + 1);
  client.send(...streams.map(open));
  for (const stream of streams) await client.settled(stream);
  client.send(...streams.map((stream) => frame(FRAME.reset, 0, stream, uint32(CODE.none))));
  await eventually(() => backend.openConnections === 0, "every backend connection to close");
  await eventually(() => gateway.requestLines().length === 20, "a line for each");
  expect(gateway.requestLines().every((line) => line["endReason"] === "client_gone")).toBe(true);
  expect(client.isClosed).toBe(false);
});

test("a client that never reads a response and resets with NO_ERROR counts too", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "x".repeat(10_000)));
  const gateway = await startSecureGatewayTo(backend.url, {}, {}, { http2: { maxResets: 5 } });
  const client = await openFrames(gateway.port);
  client.send(NO_WINDOW);
  for (let stream = 1; stream < 100 && !client.isClosed; stream += 2) {
    client.send(open(stream));
    await client.settled(stream);
    client.send(frame(FRAME.reset, 0, stream, uint32(CODE.none)));
    await delay(1);
  }
  await client.closed();
  expect(client.goawayCode()).toBe(CODE.calm);
});
