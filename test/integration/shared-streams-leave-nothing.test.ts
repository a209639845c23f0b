import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { metricsOf, startWithAdmin } from "../support/admin.ts";
import { type Backend, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { startRedis } from "../support/redis.ts";
import { resources } from "../support/resources.ts";
import { event, QUICK, subscribe } from "../support/shared.ts";
import { requestBytes } from "../support/sse-client.ts";
import { type Visit, visits } from "../support/visits.ts";

const ROUNDS = 600;
const STREAMS = 12;

/**
 * A backend with one kind of response for each path: refused, reset, silent, ended, aborted inside an event, or open.
 */
const startVariedBackend = (): Promise<Backend> =>
  startBackend((request) => {
    const kind = Number(/n=(\d+)/.exec(request.target)?.[1]) % 6;
    if (kind === 0) return request.respond(503, { "Retry-After": "0" });
    if (kind === 1) return request.reset();
    request.openStream();
    if (kind === 2) return;
    for (let id = 1; id <= 20; id++) request.emit(event("x".repeat(5_000), String(id)));
    if (kind === 3) request.endStream();
    if (kind === 4) request.emit("id: 21\ndata: ha");
  });

const PARAMETERS = [
  "",
  "&transport=polling",
  "&transport=long-polling&timeout=60s",
  "&transport=long-polling&timeout=60s&lastEventId=20",
  "&lastEventId=3",
  "&lastEventId=gone",
];

/**
 * Requests one of the streams in one of the ways, and disconnects at one of several moments: before the response,
 * during the replay, or later.
 */
const visit: Visit = async (port, socket, n) => {
  const parameters = PARAMETERS[Math.floor(n / STREAMS) % PARAMETERS.length] ?? "";
  const path = `/news?n=${n % STREAMS}${parameters}`;
  socket.write(requestBytes(port, { path, ...(n % 11 === 10 && { method: "HEAD" }) }));
  const moment = n % 5;
  const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  // A long poll may wait for an event; all others are answered, on a slow machine too.
  if (moment === 1) await (parameters.includes("long-polling") ? later(15) : once(socket, "data"));
  if (moment === 2) socket.pause();
  if (moment > 1) await later(moment * 3);
};

const start = (backend: Backend, server: Readonly<Record<string, unknown>> = {}) =>
  startWithAdmin({
    routes: {
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        stream: { heartbeat: "20ms", idleTimeout: "5m", maxDuration: "1h", sendTimeout: "5m" },
        shared: { ...QUICK, linger: "50ms", history: { age: "1s" } },
      },
    },
    server,
  });

const messages = ({ log }: GatewayFixture, wanted: string) => log.filter(({ msg }) => msg === wanted).length;

/** Every channel is closed, and every client has its line; connections are kept idle for 5 s, more under load. */
async function rest(gateway: GatewayFixture, backend: Backend): Promise<void> {
  await eventually(() => backend.openConnections === 0, "the end of every backend request", {
    timeoutMs: 20_000,
  });
  await eventually(async () => {
    const metrics = await metricsOf(gateway);
    expect(metrics.get('sluice_shared_subscribers{route="main"}')).toBe(0);
    expect(metrics.get('sluice_streams_active{route="main"}')).toBe(0);
    return true;
  }, "nobody on any stream");
}

test("after the last client has left and the linger is over no socket, timer or listener remains", async () => {
  const warnings: string[] = [];
  const onWarning = ({ name, message }: Error) => warnings.push(`${name}: ${message}`);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  const backend = await startVariedBackend();
  const gateway = await start(backend);
  await visits(gateway.port, 50, visit);
  await rest(gateway, backend);
  const before = resources();
  await visits(gateway.port, ROUNDS, visit);
  await rest(gateway, backend);
  await eventually(
    () => {
      const now = resources();
      for (const kind of ["TCPSocketWrap", "Timeout", "TCPServerWrap", "Immediate"]) {
        expect(now[kind] ?? 0, kind).toBeLessThanOrEqual(before[kind] ?? 0);
      }
      return true;
    },
    "the resources from before",
    { timeoutMs: 10_000, everyMs: 50 },
  );
  expect(warnings).toEqual([]);
  // Otherwise too few clients got far enough to leave anything.
  expect(messages(gateway, "shared stream opened")).toBeGreaterThan(STREAMS);
  expect(messages(gateway, "stream opened")).toBeGreaterThan(ROUNDS / 20);
});

test("control: the same count sees streams with clients", async () => {
  const backend = await startVariedBackend();
  const gateway = await start(backend);
  const before = resources();
  const clients = Array.from({ length: 10 }, (_, at) => subscribe(gateway.port, `/news?n=${2 + 6 * at}`));
  for (const client of clients) await client.opened();
  // Thirty more, except for those of earlier tests that may have closed meanwhile.
  expect(resources()["TCPSocketWrap"] ?? 0).toBeGreaterThanOrEqual((before["TCPSocketWrap"] ?? 0) + 15);
  expect(resources()["Timeout"] ?? 0).toBeGreaterThan((before["Timeout"] ?? 0) + 5);
  expect((await metricsOf(gateway)).get('sluice_shared_subscribers{route="main"}')).toBe(10);
});

test("in Redis no lease outlasts the last client, and every key expires", async () => {
  const [backend, redis] = await Promise.all([startVariedBackend(), startRedis()]);
  const gateway = await start(backend, { redis: { url: redis.url, lease: "500ms", timeout: "1s" } });
  const client = subscribe(gateway.port, "/news?n=5");
  await visits(gateway.port, 100, visit);
  // These clients leave within milliseconds; on a slow machine Redis may not have a record for any of them.
  await eventually(async () => (await redis.client.keys("*:events")).length > 0, "a record");
  client.leave();
  await rest(gateway, backend);
  await eventually(async () => (await redis.client.keys("*:lease")).length === 0, "the end of every lease");
  for (const key of await redis.client.keys("*")) {
    const leftMs = await redis.client.pttl(key);
    // One that has ended since is -2.
    expect(leftMs, key).not.toBe(-1);
    expect(leftMs, key).toBeLessThanOrEqual(60_000);
  }
  await eventually(
    async () => (await redis.client.keys("*:{main:*")).length === 0,
    "the end of every record",
    {
      timeoutMs: 10_000,
    },
  );
});
