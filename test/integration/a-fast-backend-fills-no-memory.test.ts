import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";
import { startFloodBackend } from "../support/flood-backend.ts";
import { startGatewayTo } from "../support/gateway.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const CLIENT_BUFFER = 128 * KiB;
/** One more read of the backend, and the framing of a chunk. */
const ONE_READ = 64 * KiB + 16;
const WATCH_MS = 1_500;

/** Collects all sockets that servers of this process accept from now on. */
function watchAccepted(): Set<Socket> {
  const sockets = new Set<Socket>();
  const onSocket = (message: unknown) => void sockets.add((message as { socket: Socket }).socket);
  subscribe("net.server.socket", onSocket);
  afterTest(() => void unsubscribe("net.server.socket", onSocket));
  return sockets;
}

/** Reads for a while; resolves with the bytes per second. */
async function speedOf(port: number, ms: number): Promise<number> {
  const socket = connect(port, "127.0.0.1");
  afterTest(() => void socket.destroy());
  let length = 0;
  socket.on("data", (bytes) => {
    length += bytes.length;
  });
  socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  // Both ends need some time to reach full speed.
  await delay(ms / 2);
  length = 0;
  const startedAt = performance.now();
  await delay(ms / 2);
  socket.destroy();
  return (length * 1000) / (performance.now() - startedAt);
}

/** Kinds of responses, with the most pending bytes for the client. */
const BOUNDS = { "text/event-stream": CLIENT_BUFFER, "application/octet-stream": 16 * KiB };

for (const [type, bound] of Object.entries(BOUNDS)) {
  test(`a gigabyte per second of ${type} for a slow client waits at the backend, not in the gateway`, async () => {
    const backend = await startFloodBackend(type);
    // On an idle machine it sends more than a gigabyte per second; on a busy one at least much more than the client
    // reads. A period in which the machine stalled does not count.
    await eventually(async () => (await speedOf(backend.port, 1_000)) > 50 * MiB, "a fast backend");
    const stream = { clientBuffer: `${CLIENT_BUFFER / KiB}k`, sendTimeout: "off" };
    const gateway = await startGatewayTo(`http://127.0.0.1:${backend.port}`, { stream });
    const accepted = watchAccepted();
    const client = connect(gateway.port, "127.0.0.1");
    afterTest(() => void client.destroy());
    client.write("GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    let taken = 0;
    client.on("data", (bytes) => {
      taken += bytes.length;
      client.pause();
    });
    const sentBefore = await backend.sent();
    const rssBefore = process.memoryUsage().rss;
    let mostPending = 0;
    let mostRss = 0;
    const until = performance.now() + WATCH_MS;
    // Longer if the machine stalled meanwhile.
    const hasSeen = () => taken > MiB && mostPending >= bound;
    const giveUpAt = until + 5_000;
    for (let turn = 0; performance.now() < (hasSeen() ? until : giveUpAt); turn++) {
      for (const socket of accepted) mostPending = Math.max(mostPending, socket.writableLength);
      mostRss = Math.max(mostRss, process.memoryUsage().rss);
      if (turn % 5 === 0) client.resume();
      await delay(1);
    }
    expect(taken).toBeGreaterThan(MiB);
    // The client did fall behind; otherwise this test would show nothing.
    expect(mostPending).toBeGreaterThanOrEqual(bound);
    expect(mostPending).toBeLessThan(bound + ONE_READ);
    expect(mostRss - rssBefore).toBeLessThan(48 * MiB);
    // The bytes sent are those that the client read plus the kernel's buffers of two connections.
    expect((await backend.sent()) - sentBefore).toBeLessThan(taken + 32 * MiB);
  });
}
