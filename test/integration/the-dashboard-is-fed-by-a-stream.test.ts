import { hostname } from "node:os";
import { expect, test } from "vitest";
import type { View } from "../../src/admin/admin-view.ts";
import { version } from "../../src/base/version.ts";
import { Capacity } from "../../src/limits/capacity.ts";
import { askAdmin, startWithAdmin, viewsIn } from "../support/admin.ts";
import { refusedPort, startBackend } from "../support/backend.ts";
import { breaks } from "../support/breaks.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { ask, attach, emitToken, startResuming } from "../support/resume.ts";
import { EVENT_SOURCE, openStream, type StreamClient } from "../support/sse-client.ts";

const CODE = "c".repeat(64);

const start = async () => {
  const backend = await startBackend();
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/*" }, upstream: backend.url } },
  });
  return { backend, gateway };
};

const watch = ({ adminUrl }: GatewayFixture, query = "") =>
  openStream(Number(new URL(adminUrl).port), { path: `/api/events${query}` });

const overviews = ({ text }: StreamClient): View[] => viewsIn(text);

test("the stream begins with the last minutes and sends an overview every second", async () => {
  const { backend, gateway } = await start();
  const client = openStream(gateway.port);
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  const watching = watch(gateway);
  await watching.opened();
  expect(watching.field("content-type")).toBe("text/event-stream");
  expect(watching.field("x-accel-buffering")).toBe("no");
  await watching.received("event: history\ndata: [");
  const emitting = setInterval(() => request.emit("data: x\n\n"), 100);
  await eventually(
    () => overviews(watching).some(({ streams }) => (streams.streams[0]?.eventsPerSecond ?? 0) > 3),
    "a rate of the stream",
  );
  clearInterval(emitting);
  expect(overviews(watching)[0]).toMatchObject({
    isReady: true,
    routes: [{ name: "main", streams: 1 }],
    backends: [{ backend: backend.url, state: "up" }],
    streams: { total: 1 },
  });
  request.connection.socket.destroy();
  await eventually(
    () => overviews(watching).at(-1)?.ends[0]?.reason === "backend_failed",
    "the end in the list of last ends",
  );
  expect(overviews(watching).at(-1)?.streams.total).toBe(0);
});

test("at most sixteen clients can watch, and a disconnect makes room", async () => {
  const { gateway } = await start();
  const watching = Array.from({ length: 16 }, () => watch(gateway));
  for (const one of watching) await one.opened();
  expect((await askAdmin(gateway, "/api/events")).status).toBe(503);
  watching[0]?.leave();
  await eventually(async () => {
    const another = watch(gateway);
    const { status } = await another.opened();
    another.leave();
    return status === 200;
  }, "room for another one");
});

test("the stream ends when the gateway closes", async () => {
  const { gateway } = await start();
  const watching = watch(gateway);
  await watching.received("event: overview");
  await gateway.close();
  await watching.ended();
});

/** Waits for a view that fulfils a condition, and returns it. */
const viewWhere = (watching: StreamClient, isWanted: (view: View) => boolean, what: string): Promise<View> =>
  eventually(() => overviews(watching).find(isWanted), what) as Promise<View>;

test("it has the refused and failed requests, and why and since when a backend is out", async () => {
  const backend = await startBackend((request) => request.respond(503, {}, "busy"));
  const dead = `http://127.0.0.1:${await refusedPort()}`;
  const gateway = await startWithAdmin({
    routes: {
      chat: {
        match: { path: "/chat" },
        upstream: backend.url,
        limits: { rate: { requests: 2, per: "1h", by: "ip" } },
      },
      dead: { match: { path: "/dead" }, upstream: dead },
      pool: {
        match: { path: "/pool" },
        upstream: { backends: [{ url: dead, maxFails: 1, weight: 9 }, { url: backend.url }] },
      },
    },
  });
  const before = Date.now();
  for (const path of ["/chat", "/chat", "/chat", "/dead", "/pool", "/nothing"])
    await fetch(gateway.url + path);
  const view = await viewWhere(watch(gateway), ({ failures }) => failures.length === 5, "five rows");
  const counts = view.failures.map(
    (row) => `${row.route} ${row.reason} ${row.status} ${row.total} ${row.recent}`,
  );
  expect(counts.sort()).toEqual([
    " no_route 404 1 1",
    "chat backend_status 503 2 2",
    "chat rate_limited 429 1 1",
    "dead backend_connect_failed 502 1 1",
    "pool backend_status 503 1 1",
  ]);
  expect(view.failureSums).toEqual({ refused: 2, failed: 4 });
  expect(view.failures.every(({ lastAt }) => lastAt >= before)).toBe(true);
  // Backends that fail come first, although those of the first route work.
  const bad = view.backends.slice(0, 2);
  expect(bad).toMatchObject([
    { route: "dead", backend: dead, state: "failing", isOut: false },
    { route: "pool", backend: dead, state: "failing", isOut: true },
  ]);
  expect(view.backends.slice(2).map(({ state, isOut }) => [state, isOut])).toEqual([
    ["up", false],
    ["up", false],
  ]);
  for (const { failing } of bad) {
    expect(failing?.reason).toContain("ECONNREFUSED");
    expect(failing?.since).toBeGreaterThanOrEqual(before);
  }
});

test("it has the path, the app, the delay of the first event and the backlog of a stream", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { appCode: true } } },
    apps: { shop: { key: "k", secret: "s", appCodes: [CODE] } },
  });
  const path = `/rooms/${"x".repeat(300)}`;
  const client = openStream(gateway.port, {
    path: `${path}?token=secret`,
    headers: { "X-Apig-AppCode": CODE },
  });
  const request = await backend.nextRequest();
  const watching = watch(gateway, "?sort=backlog");
  const [early] = (await viewWhere(watching, ({ streams }) => streams.total === 1, "the stream")).streams
    .streams;
  expect(early).toMatchObject({ path: path.slice(0, 200), app: "shop", pendingBytes: 0 });
  expect(early?.firstEventMs).toBeUndefined();
  request.emit("data: first\n\n");
  // More than the kernel takes for a client that does not read.
  client.socket.pause();
  request.emit(`data: ${"y".repeat(16_000_000)}\n\n`);
  const late = await viewWhere(
    watching,
    ({ streams }) => (streams.streams[0]?.pendingBytes ?? 0) > 0,
    "a backlog",
  );
  expect(late.streams.streams[0]?.firstEventMs).toBeGreaterThanOrEqual(0);
  expect(watching.text).not.toContain("secret");
});

test("many clients that leave do not hide a stream that failed; ended streams are chosen by route and reason", async () => {
  const backend = await startBackend((request) => request.openStream());
  const upstream = backend.url;
  const gateway = await startWithAdmin({
    routes: {
      chat: { match: { path: "/chat" }, upstream },
      prices: { match: { path: "/prices" }, upstream },
    },
  });
  const open = async (path: string) => {
    const client = openStream(gateway.port, { path });
    const request = await backend.nextRequest();
    await client.opened();
    return { client, request };
  };
  (await open("/prices")).request.connection.socket.destroy();
  await eventually(() => gateway.requestLines().length === 1, "the failed stream");
  for (let at = 0; at < 110; at++) (await open("/chat")).client.leave();
  await eventually(() => gateway.requestLines().length === 111, "the ends");
  const all = await viewWhere(watch(gateway), ({ ends }) => ends.length > 0, "the last ends");
  expect(all.endCounts).toEqual({ client_gone: 110, backend_failed: 1 });
  expect(new Set(all.ends.map(({ route }) => route))).toEqual(new Set(["chat"]));
  const failed = watch(gateway, "?endReason=backend_failed");
  const { ends } = await viewWhere(failed, ({ ends: found }) => found.length > 0, "the failed stream");
  expect(ends).toMatchObject([{ route: "prices", path: "/prices", reason: "backend_failed" }]);
  const ofPrices = await viewWhere(
    watch(gateway, "?endRoute=prices"),
    (view) => view.ends.length > 0,
    "its end",
  );
  expect(ofPrices.endCounts).toEqual({ backend_failed: 1 });
  expect(ofPrices.ends).toHaveLength(1);
});

test("it has what is wrong with the gateway as a whole, with times, and which gateway it is", async () => {
  const { backend, gateway } = await start();
  const before = Date.now();
  const client = openStream(gateway.port);
  (await backend.nextRequest()).openStream();
  await client.opened();
  const taken = new URL(backend.url).host;
  const routes = { main: { match: { path: "/*" }, upstream: backend.url } };
  await expect(gateway.reload({ routes, server: { listen: taken, admin: 0 } })).rejects.toThrow();
  breaks(Capacity.prototype, "takeStream");
  await openStream(gateway.port, { headers: EVENT_SOURCE }).opened();
  const watching = watch(gateway);
  const view = await viewWhere(watching, () => true, "a view");
  expect(view.about).toEqual({ version: version(), host: hostname(), node: process.version });
  expect(view.reloads).toMatchObject({ failed: 1, last: { result: "failure" } });
  expect(view.reloads.last?.problems[0]).toContain("EADDRINUSE");
  expect(view.incidents.internal_error.count).toBe(1);
  expect(view.incidents.internal_error.lastAt).toBeGreaterThanOrEqual(before);
  expect(view.failures[0]).toMatchObject({ route: "main", reason: "internal_error", status: 500 });
  const drained = gateway.drain();
  const draining = await viewWhere(watching, ({ isReady }) => !isReady, "the drain");
  expect(draining.obstacles).toMatchObject([{ obstacle: "draining" }]);
  expect(draining.obstacles[0]?.since).toBeGreaterThanOrEqual(before);
  client.leave();
  await drained;
});

test("it shows the named answers of a route: running and kept ones, their memory and how clients came back", async () => {
  const { gateway, port, requests } = await startResuming({
    server: { admin: 0 },
    resume: { answersPerClient: 2 },
    onRequest: (request) => request.openStream(),
  });
  for (const key of ["k1", "k2"]) await ask(port, { key }).opened();
  emitToken(requests[0], "a");
  requests[0]?.endStream();
  const again = ask(port, { key: "k1" });
  await again.opened();
  await attach(port, { key: "nothing" }).opened();
  await ask(port, { key: "k3" }).opened();
  const view = await viewWhere(
    watch(gateway),
    ({ routes }) => routes[0]?.answers?.kept === 1 && routes[0].answers.running === 1,
    "an answer that runs and one that is kept",
  );
  expect(view.routes[0]?.answers).toMatchObject({ resumes: { attached: 1, unknown: 1 } });
  expect(view.routes[0]?.answers?.bytes).toBeGreaterThan(0);
  expect(view.unrecorded).toEqual({ client: 1 });
});
