import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

const MiB = 1024 ** 2;
const EVENT = `data: ${"x".repeat(64 * 1024 - 8)}\n\n`;

/** Writes events as fast as the gateway takes them; the returned function tells the bytes sent so far. */
function pump(request: BackendRequest, total: number): () => number {
  const { socket } = request.connection;
  let made = 0;
  const fill = () => {
    while (made < total && !socket.destroyed) {
      made += EVENT.length;
      request.emit(EVENT);
      if (socket.writableNeedDrain) return;
    }
  };
  socket.on("drain", fill);
  fill();
  return () => socket.bytesWritten - socket.writableLength;
}

for (const type of ["text/event-stream", "text/plain"]) {
  test(`the backend of a client that does not read is not read either: ${type}`, async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, { stream: { clientBuffer: "64k" } });
    const client = openStream(gateway.port, { paused: true });
    const request = await backend.nextRequest();
    request.openStream({ "Content-Type": type });
    const rssBefore = process.memoryUsage().rss;
    const sent = pump(request, 200 * MiB);
    // The backend stops: the sockets' buffers and clientBuffer are full.
    let last = -1;
    await eventually(
      async () => {
        const now = sent();
        const rests = now === last && now > 0;
        last = now;
        await delay(200);
        return rests;
      },
      "the backend to stand still",
      { timeoutMs: 15_000 },
    );
    // Kernel buffers on the loopback take some MiB; without back-pressure it would be all 200.
    expect(sent()).toBeLessThan(30 * MiB);
    expect(process.memoryUsage().rss - rssBefore).toBeLessThan(60 * MiB);
    const before = sent();
    client.socket.resume();
    await eventually(() => sent() > before + 8 * MiB, "the flow to go on");
    client.leave();
    await request.connection.closed;
  });
}

test("a backend that is paused for its client does not count as silent", async () => {
  const backend = await startBackend();
  // This once ended as `idle_timeout` inside an event: nothing was read, so nothing came. Longer than a
  // second, because the backend runs in this process and is silent whenever that stands still.
  const stream = { clientBuffer: "64k", idleTimeout: "1500ms" };
  const gateway = await startGatewayTo(backend.url, { stream });
  const client = openStream(gateway.port, { paused: true });
  const request = await backend.nextRequest();
  request.openStream();
  const sent = pump(request, 24 * MiB);
  await delay(2_500);
  expect(sent()).toBeLessThan(24 * MiB);
  expect(gateway.requestLines()).toEqual([]);
  client.socket.resume();
  await eventually(() => client.bodyLength >= 24 * MiB, "every byte");
  // And then it is.
  expect(await gateway.requestLine()).toMatchObject({ endReason: "idle_timeout" });
});

test("a slow reader gets every byte", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { stream: { clientBuffer: "64k" } });
  const client = openStream(gateway.port, { paused: true });
  const request = await backend.nextRequest();
  request.openStream();
  pump(request, 24 * MiB);
  for (let n = 0; n < 20; n++) {
    client.socket.resume();
    await delay(3);
    client.socket.pause();
    await delay(10);
  }
  client.socket.resume();
  const whole = 2 + (Math.floor((24 * MiB - 1) / EVENT.length) + 1) * EVENT.length;
  await eventually(() => client.bodyLength >= whole, "every byte");
  expect(client.bodyLength).toBe(whole);
  expect(client.text.slice(2, 2 + EVENT.length)).toBe(EVENT);
  expect(client.text.slice(2).replaceAll(EVENT, "")).toBe("");
});

test("sendTimeout ends a client that takes none of its pending bytes", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {
    stream: { clientBuffer: "64k", sendTimeout: "300ms" },
  });
  openStream(gateway.port, { paused: true });
  const request = await backend.nextRequest();
  request.openStream();
  pump(request, 200 * MiB);
  const startedAt = performance.now();
  expect(await gateway.requestLine()).toMatchObject({ endReason: "slow_client", status: 200 });
  expect(performance.now() - startedAt).toBeGreaterThan(290);
  await request.connection.closed;
  expect(request.connection.closedBy).toBeDefined();
});

test("sendTimeout does not end a client that reads slowly but steadily", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {
    // Longer than a busy machine stops this process, in which the client runs.
    stream: { clientBuffer: "64k", sendTimeout: "1500ms" },
  });
  const client = openStream(gateway.port, { paused: true });
  const request = await backend.nextRequest();
  request.openStream();
  pump(request, 200 * MiB);
  for (let n = 0; n < 15; n++) {
    client.socket.resume();
    await delay(10);
    client.socket.pause();
    await delay(150);
  }
  expect(gateway.requestLines()).toEqual([]);
  expect(client.end).toBeUndefined();
  client.leave();
  await request.connection.closed;
});
test("a client of an idle stream without pending bytes is not slow", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startGatewayTo(backend.url, { stream: { sendTimeout: "100ms", heartbeat: "off" } });
  const client = openStream(gateway.port);
  await client.received(":\n");
  await delay(400);
  expect(client.end).toBeUndefined();
});
