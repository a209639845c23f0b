import { connect as connectTls } from "node:tls";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { startSecureGatewayTo } from "../support/http2-client.ts";
import { openRaw, type RawClient } from "../support/raw-client.ts";

// Bytes that a client sends after a stream's request wait for the stream's end, which may never come.

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const MORE = "GET /more HTTP/1.1\r\nHost: a\r\n\r\n";
const KiB = 1024;

async function startStream(get = GET) {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(get);
  await client.received(":\n");
  return { backend, client };
}

/** Sends without end, and expects an abort, of the backend's request too. */
async function floodUntilCutOff(client: RawClient, request: BackendRequest | undefined, piece: string) {
  for (let sent = 0; sent < 64 * 1024 * KiB && client.ending === "open"; sent += piece.length) {
    client.send(piece);
    if (client.socket.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve));
  }
  await client.ended();
  expect(client.socket.bytesWritten).toBeLessThan(32 * 1024 * KiB);
  await eventually(() => request?.connection.isOpen === false, "the end of the backend's request");
}

test("up to 64 KiB of further bytes do not affect the stream", async () => {
  const { backend, client } = await startStream();
  client.send("x".repeat(60 * KiB));
  await eventually(() => client.socket.writableLength === 0);
  backend.requests[0]?.emit("data: on\n\n");
  await client.received("data: on\n\n");
  expect(client.ending).toBe("open");
  expect(backend.requests.length).toBe(1);
});

test.each([
  ["zeros, behind a plain request", GET, "\0".repeat(4 * KiB)],
  ["requests, behind a plain request", GET, MORE.repeat(100)],
  ["requests, behind one that node:http reads", `\r\n${GET}`, MORE.repeat(100)],
  ["zeros, behind one that node:http reads", `\r\n${GET}`, "\0".repeat(4 * KiB)],
])("a flood of %s ends the connection without a further backend request", async (_, get, piece) => {
  const { backend, client } = await startStream(get);
  await floodUntilCutOff(client, backend.requests[0], piece);
  expect(backend.requests.length).toBe(1);
});

test("a flood over TLS ends the connection too", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url);
  const socket = connectTls({ port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false });
  socket.on("error", () => {});
  socket.resume();
  afterTest(() => void socket.destroy());
  socket.write(GET);
  await eventually(() => backend.requests.length === 1, "the request");
  const zeros = Buffer.alloc(4 * KiB);
  for (let sent = 0; sent < 64 * 1024 * KiB && socket.writable; sent += zeros.length) {
    socket.write(zeros);
    if (socket.writableNeedDrain) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually(() => socket.destroyed, "the end of the connection");
  await eventually(() => backend.openConnections === 0, "the end of the backend's request");
});
