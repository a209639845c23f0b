import { expect, test } from "vitest";
import { type Backend, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, type GatewaySetup, startGateway } from "../support/gateway.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const routeTo = (path: string, upstream: string, more: object = {}) => ({
  match: { path },
  upstream,
  ...more,
});

interface Open {
  readonly client: ReturnType<typeof openStream>;
  readonly request: Awaited<ReturnType<Backend["nextRequest"]>>;
}

async function open(gateway: GatewayFixture, backend: Backend, path: string): Promise<Open> {
  const client = openStream(gateway.port, { path, headers: EVENT_SOURCE });
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("data: first\n\n");
  await client.received("data: first");
  return { client, request };
}

/** Checks that a stream still relays the events of its backend. */
async function expectAlive({ client, request }: Open, text: string): Promise<void> {
  request.emit(`data: ${text}\n\n`);
  await client.received(`data: ${text}`);
  expect(client.end).toBeUndefined();
}

test("streams of an unchanged route continue on their connections, and its pool serves the next request", async () => {
  const backend = await startBackend();
  const setup = (heartbeat: string): GatewaySetup => ({
    routes: {
      kept: routeTo("/kept", backend.url),
      other: routeTo("/other", backend.url, { stream: { heartbeat } }),
    },
  });
  const gateway = await startGateway(setup("15s"));
  const kept = await open(gateway, backend, "/kept");
  const connections = backend.connections.length;
  for (const heartbeat of ["5s", "6s", "7s"]) await gateway.reload(setup(heartbeat));
  await expectAlive(kept, "after three reloads");
  expect(backend.connections.length).toBe(connections);
  const reloads = gateway.log.filter(({ msg }) => msg === "reloaded");
  expect(reloads.map(({ added, changed, removed }) => ({ added, changed, removed }))).toEqual(
    Array.from({ length: 3 }, () => ({ added: [], changed: ["other"], removed: [] })),
  );
});

test("a changed upstream takes new streams, and old streams stay on the old one until they end", async () => {
  const before = await startBackend();
  const after = await startBackend();
  const gateway = await startGateway({ routes: { main: routeTo("/*", before.url) } });
  const old = await open(gateway, before, "/a");
  await gateway.reload({ routes: { main: routeTo("/*", after.url) } });
  const next = await open(gateway, after, "/b");
  await expectAlive(old, "still here");
  await expectAlive(next, "here too");
  old.client.leave();
  await eventually(() => before.openConnections === 0, "the old pool to be closed after its last stream");
  await expectAlive(next, "still here too");
});

test("a retired pool keeps no idle connection, and serves the request that it already has", async () => {
  const before = await startBackend();
  const after = await startBackend((request) => request.respond(200, {}, "after"));
  const gateway = await startGateway({ routes: { main: routeTo("/*", before.url) } });
  const idle = openStream(gateway.port, { path: "/idle" });
  (await before.nextRequest()).respond(200, {}, "idle");
  await idle.ended();
  const slow = openStream(gateway.port, { path: "/slow" });
  const pending = await before.nextRequest();
  await gateway.reload({ routes: { main: routeTo("/*", after.url) } });
  const now = openStream(gateway.port, { path: "/now" });
  await now.ended();
  expect(now.text).toBe("after");
  pending.respond(200, {}, "before");
  await slow.ended();
  expect(slow.text).toBe("before");
  await eventually(() => before.openConnections === 0, "the old pool to be closed");
});

test("a removed route is a 404 at once, and its streams end one by one with a reconnection time", async () => {
  const backend = await startBackend();
  const other = routeTo("/other", backend.url);
  // Spread over 2 s: ends that are due while a machine stands still come together.
  const server = { drain: { timeout: "2500ms", retry: "7s" } };
  const gateway = await startGateway({ routes: { gone: routeTo("/gone", backend.url), other }, server });
  const streams: Open[] = [];
  for (let count = 0; count < 10; count++) streams.push(await open(gateway, backend, "/gone"));
  const stays = await open(gateway, backend, "/other");
  await gateway.reload({ routes: { other }, server });
  const late = openStream(gateway.port, { path: "/gone" });
  expect((await late.opened()).status).toBe(404);
  for (const { client } of streams) {
    expect(await client.ended()).toBe("clean");
    expect(client.text.endsWith("data: first\n\nretry: 7000\n\n")).toBe(true);
  }
  const times = streams.map(({ client }) => client.endedAt).toSorted((a, b) => a - b);
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(400);
  await expectAlive(stays, "untouched");
  const reasons = gateway.requestLines().filter(({ route }) => route === "gone");
  expect(reasons.map(({ endReason }) => endReason)).toEqual(Array.from({ length: 10 }, () => "drained"));
});

test("rates, tickets, stream counts and health survive a reload that does not concern them", async () => {
  const backend = await startBackend();
  const setup = (heartbeat: string): GatewaySetup => ({
    routes: {
      main: routeTo("/*", backend.url, {
        stream: { heartbeat },
        limits: { rate: { requests: 2, per: "1d" }, streams: 1 },
      }),
    },
  });
  const gateway = await startGateway(setup("15s"));
  const first = await open(gateway, backend, "/first");
  await gateway.reload(setup("5s"));
  // The stream that began before still holds its place.
  const second = openStream(gateway.port, { path: "/second", headers: { Accept: "text/event-stream" } });
  expect((await second.opened()).status).toBe(503);
  const third = openStream(gateway.port, { path: "/third" });
  expect((await third.opened()).status).toBe(429);
  await expectAlive(first, "on");
});
