import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { type Backend, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../support/gateway.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const drain = (timeout: string, more: object = {}) => ({ drain: { timeout, retry: "2s", ...more } });

async function openMany(gateway: GatewayFixture, backend: Backend, count: number) {
  const clients: ReturnType<typeof openStream>[] = [];
  for (let at = 0; at < count; at++) {
    const client = openStream(gateway.port, { path: `/${at}`, headers: EVENT_SOURCE });
    const request = await backend.nextRequest();
    request.openStream();
    request.emit(`id: ${at}\ndata: x\n\n`);
    await client.received("data: x");
    clients.push(client);
  }
  return clients;
}

test("streams end between events, spread over the timeout, each with a reconnection time", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {}, drain("5s"));
  const clients = await openMany(gateway, backend, 40);
  const startedAt = performance.now();
  await gateway.drain();
  expect(performance.now() - startedAt).toBeLessThan(7000);
  for (const client of clients) {
    expect(await client.ended()).toBe("clean");
    expect(client.text.endsWith("data: x\n\nretry: 2000\n\n")).toBe(true);
  }
  // Each stream ends in its own part of four fifths of the timeout. If the machine stands still, some streams end later
  // and together, but none ends earlier.
  const ends = clients.map(({ endedAt }) => endedAt - startedAt).sort((a, b) => a - b);
  for (const [at, end] of ends.entries()) {
    expect(end).toBeGreaterThan(at * 100 - 20);
    expect(end).toBeLessThan((at + 1) * 100 + 2_000);
  }
  expect(new Set(ends.map((end) => Math.floor(end / 50))).size).toBeGreaterThanOrEqual(15);
  await eventually(() => gateway.requestLines().length === 40, "a line for each");
  expect(new Set(gateway.requestLines().map(({ endReason }) => endReason))).toEqual(new Set(["drained"]));
});

test("an event that has begun is finished before its stream ends", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {}, drain("5s"));
  const client = openStream(gateway.port, { headers: EVENT_SOURCE });
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("id: 1\ndata: half");
  await client.received("half");
  // The drawn time is the earliest: the timeout is far away, even if this process stands still.
  const random = vi.spyOn(Math, "random").mockReturnValue(0);
  onTestFinished(() => random.mockRestore());
  const drained = gateway.drain();
  await eventually(() => gateway.log.some(({ msg }) => msg === "draining"), "the drain to begin");
  random.mockRestore();
  await delay(200);
  expect(client.end).toBeUndefined();
  request.emit(" and whole\n\nid: 2\ndata: never\n\n");
  expect(await client.ended()).toBe("clean");
  expect(client.text.endsWith("data: half and whole\n\nretry: 2000\n\n")).toBe(true);
  await drained;
});

test("a stream without a boundary in time is aborted, never ended cleanly", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {}, drain("500ms"));
  const client = openStream(gateway.port, { headers: EVENT_SOURCE });
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("data: half");
  await client.received("half");
  const startedAt = performance.now();
  await gateway.drain();
  expect(performance.now() - startedAt).toBeLessThan(4000);
  expect(["truncated", "reset"]).toContain(await client.ended());
  expect(client.text.endsWith("data: half")).toBe(true);
});

test("ordinary requests finish and their connections end with them; idle connections end at once", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {}, drain("10s"));
  const idle = openStream(gateway.port, { path: "/idle" });
  (await backend.nextRequest()).respond(200, {}, "idle");
  await idle.received("idle");
  const busy = openStream(gateway.port, { path: "/busy" });
  const request = await backend.nextRequest();
  const startedAt = performance.now();
  const drained = gateway.drain();
  await eventually(() => idle.socket.closed, "the idle connection to be closed");
  request.respond(200, {}, "whole");
  await busy.received("whole");
  await drained;
  expect(performance.now() - startedAt).toBeLessThan(4000);
  // The response is complete; its client sees the end when it reads.
  await eventually(() => busy.socket.closed || busy.socket.readableEnded, "the end of the busy connection");
});

test("during drain.delay it accepts connections, keeps none alive, and then stops", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "served"));
  const gateway = await startGatewayTo(backend.url, {}, drain("1s", { delay: "1500ms" }));
  const drained = gateway.drain();
  const client = openStream(gateway.port);
  await client.ended();
  expect({ text: client.text, connection: client.field("connection") }).toEqual({
    text: "served",
    connection: "close",
  });
  await drained;
  const late = connect(gateway.port, "127.0.0.1");
  const code = await new Promise((resolve) => {
    late.once("connect", () => resolve("connected"));
    late.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  expect(code).toBe("ECONNREFUSED");
});

test.each([
  ["while drain.delay lasts", { delay: "10s" }, false],
  ["while the ends are spread", {}, true],
])("closing at once, %s, does not wait for a timeout", async (_when, more, hasBegun) => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {}, drain("20s", more));
  const clients = await openMany(gateway, backend, 5);
  const drained = gateway.drain();
  await eventually(() => gateway.log.some(({ msg }) => msg === "draining") === hasBegun);
  const startedAt = performance.now();
  await gateway.close();
  await drained;
  expect(performance.now() - startedAt).toBeLessThan(4000);
  for (const client of clients) expect(await client.ended()).toBe("clean");
});
