import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startBlackHole } from "../support/black-hole.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const upstream = (url: string, timers: Record<string, string>) => ({
  upstream: { backends: [{ url }], ...timers },
});

test("connectTimeout: a connection that is never established gives 504", async () => {
  const hole = await startBlackHole();
  const gateway = await startGatewayTo("http://unused", upstream(hole.url, { connectTimeout: "300ms" }));
  const startedAt = performance.now();
  const client = openStream(gateway.port);
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(504);
  expect(JSON.parse(client.text)).toMatchObject({ error_msg: "Backend timeout." });
  expect(performance.now() - startedAt).toBeGreaterThan(290);
  // The default is five seconds.
  expect(performance.now() - startedAt).toBeLessThan(4000);
});

test("responseHeaderTimeout: a silent backend gives 504, and its request is cancelled", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(
    "http://unused",
    upstream(backend.url, { responseHeaderTimeout: "200ms" }),
  );
  const client = openStream(gateway.port);
  const request = await backend.nextRequest();
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(504);
  await request.connection.closed;
  expect(await gateway.requestLine()).toMatchObject({ status: 504, endReason: "backend_failed" });
});

test("responseHeaderTimeout: a slow response head does not extend it", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(
    "http://unused",
    upstream(backend.url, { responseHeaderTimeout: "300ms" }),
  );
  const client = openStream(gateway.port);
  const request = await backend.nextRequest();
  for (const byte of "HTTP/1.1 200 OK\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaa") {
    if (client.head !== undefined) break;
    request.send(byte);
    await delay(30);
  }
  expect((await client.opened()).status).toBe(504);
});

test("responseHeaderTimeout starts at the end of the request, not during a slow upload", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then(() => request.respond(200, {}, "ok"));
  });
  const gateway = await startGatewayTo(
    "http://unused",
    upstream(backend.url, { responseHeaderTimeout: "200ms" }),
  );
  const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": "10" } });
  for (let n = 0; n < 10; n++) {
    client.socket.write("x");
    await delay(50);
  }
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(200);
});

test("neither timeout ends a stream after its head", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(
    "http://unused",
    upstream(backend.url, { connectTimeout: "500ms", responseHeaderTimeout: "500ms" }),
  );
  const client = openStream(gateway.port);
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  await delay(1000);
  request.emit("data: late\n\n");
  await client.received("data: late\n\n");
});

test("idleTimeout: a silent backend is aborted despite sluice's heartbeats", async () => {
  const { client, request, gateway } = await openRelay({
    // The backend runs in this process, so it is silent when a busy machine stalls.
    route: { stream: { idleTimeout: "1100ms", heartbeat: "40ms" } },
  });
  for (let n = 0; n < 8; n++) {
    request.emit(`data: ${n}\n\n`);
    await delay(150);
  }
  // Traffic extended the stream beyond idleTimeout.
  expect(client.end).toBeUndefined();
  expect(await client.ended()).toMatch(/^(truncated|reset)$/);
  await request.connection.closed;
  expect(await gateway.requestLine()).toMatchObject({ endReason: "idle_timeout", status: 200 });
});

test("maxDuration: a silent stream between two events ends cleanly after 80 to 100 % of it", async () => {
  const startedAt = performance.now();
  const { client, request, gateway } = await openRelay({
    route: { stream: { maxDuration: "2s" } },
    request: { headers: EVENT_SOURCE },
  });
  expect(await client.ended()).toBe("clean");
  expect(client.endedAt - startedAt).toBeGreaterThan(1595);
  // A machine that stalls ends it late, but no stream lasts beyond 120 %: then it is aborted, which is not clean.
  expect(client.endedAt - startedAt).toBeLessThan(4000);
  await request.connection.closed;
  expect(await gateway.requestLine()).toMatchObject({ endReason: "max_duration", status: 200 });
});

test("maxDuration waits for the end of the current event, and drops the next events", async () => {
  // The drawn time is the earliest, 80 %: a second before the abort at 120 %.
  const random = vi.spyOn(Math, "random").mockReturnValue(0);
  onTestFinished(() => random.mockRestore());
  const { client, request, gateway } = await openRelay({
    route: { stream: { maxDuration: "3s" } },
    request: { headers: EVENT_SOURCE },
  });
  random.mockRestore();
  request.emit("data: first half,");
  await client.received("first half,");
  await delay(2_450);
  expect(client.end).toBeUndefined();
  request.emit(" second half\n\ndata: never sent\n\n");
  expect(await client.ended()).toBe("clean");
  expect(client.text).toBe(":\ndata: first half, second half\n\n");
  expect(await gateway.requestLine()).toMatchObject({ endReason: "max_duration", events: 1 });
});

test("maxDuration: a stream that never ends its event is aborted", async () => {
  const { client, request, gateway } = await openRelay({
    route: { stream: { maxDuration: "300ms" } },
    request: { headers: EVENT_SOURCE },
  });
  request.emit("data: no end");
  expect(await client.ended()).toMatch(/^(truncated|reset)$/);
  await request.connection.closed;
  expect(await gateway.requestLine()).toMatchObject({ endReason: "max_duration" });
});

test("maxDuration is drawn for each stream, so that clients do not reconnect together", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startGatewayTo(backend.url, { stream: { maxDuration: "1s" } });
  // Compares the drawn times, not the measured ends: a machine that stalls ends all streams at once.
  const armed = vi.spyOn(globalThis, "setTimeout");
  onTestFinished(() => armed.mockRestore());
  const startedAt = performance.now();
  const clients = Array.from({ length: 20 }, () => openStream(gateway.port));
  await Promise.all(clients.map((client) => client.ended()));
  for (const { endedAt } of clients) expect(endedAt - startedAt).toBeGreaterThan(795);
  const drawn = armed.mock.calls.map(([, ms = 0]) => ms).filter((ms) => ms >= 800 && ms < 1000);
  expect(new Set(drawn).size).toBeGreaterThanOrEqual(20);
  expect(Math.max(...drawn) - Math.min(...drawn)).toBeGreaterThan(50);
});

test("responseHeaderTimeout: an upload that ends after the response head does not start it", async () => {
  // The request's end once started the timer again, which cut the stream.
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startGatewayTo(
    "http://unused",
    upstream(backend.url, { responseHeaderTimeout: "150ms" }),
  );
  const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": "4" } });
  const request = await backend.nextRequest();
  await client.opened();
  client.socket.write("body");
  await request.wholeBody();
  await delay(400);
  request.emit("data: late\n\n");
  await client.received("data: late\n\n");
  expect(client.end).toBeUndefined();
});
