import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { refusalOf, startPlainBackend } from "../../support/answers.ts";
import { rawSigned, WEB_CLIENT } from "../../support/app-signer.ts";
import { refusedPort } from "../../support/backend.ts";
import { eventually, PATIENCE_MS } from "../../support/eventually.ts";
import { type GatewayFixture, type GatewaySetup, startGateway } from "../../support/gateway.ts";
import { rawRequest } from "../../support/raw-client.ts";
import { startRedis } from "../../support/redis.ts";

/** Signed for both instances, which are one service under one name. */
const HOST = "service.example";

const setupOf = (upstream: string, redis: string, rate: unknown, timeout: string): GatewaySetup => ({
  server: { redis: { url: redis, lease: "1s", timeout }, trustedProxies: ["127.0.0.1"] },
  apps: { "web-client": WEB_CLIENT },
  routes: {
    signed: {
      match: { path: "/signed" },
      upstream,
      auth: { app: { apps: ["web-client"], replay: "reject" } },
    },
    limited: { match: { path: "/limited" }, upstream, limits: { rate } },
  },
});

const RATE = { requests: 2, per: "1m", by: "ip" };

/** Redis may stand still for as long as its machine does, unless a test needs it to be away by then. */
async function startTwo(redis: string, rate: unknown = RATE, timeout = "5s") {
  const backend = await startPlainBackend();
  const setup = setupOf(backend.url, redis, rate, timeout);
  return { backend, setup, a: await startGateway(setup), b: await startGateway(setup) };
}

/** Resolves when a gateway is connected to Redis; until then signatures are refused. */
const connected = (gateway: GatewayFixture) =>
  eventually(
    async () => (await send(gateway, signed("try", randomUUID()))).status === 200,
    "Redis to be found",
    { timeoutMs: 10_000 },
  );

const signed = (name: string, value: string) =>
  rawSigned({ method: "GET", host: HOST, path: "/signed", query: { [name]: [value] } });

const send = (gateway: GatewayFixture, raw: Buffer) =>
  rawRequest(gateway.port, raw, { until: "\r\n\r\n", waitMs: PATIENCE_MS });

const limited = (gateway: GatewayFixture, address = "10.0.0.1") =>
  fetch(`${gateway.url}/limited`, { headers: { "x-forwarded-for": address } });

test("a signature used at one instance is refused by another, and of two simultaneous uses one succeeds", async () => {
  const redis = await startRedis();
  const { backend, a, b } = await startTwo(redis.url);
  const raw = signed("n", "0");
  await eventually(async () => (await send(a, raw)).status !== 503);
  const before = backend.requests.length;
  expect(before).toBe(1);
  await eventually(async () => (await send(b, raw)).status !== 503, "the other instance to find Redis");
  expect((await send(b, raw)).status).toBe(401);
  expect(backend.requests).toHaveLength(before);
  for (let n = 1; n <= 10; n++) {
    const twice = signed("n", `${n}`);
    const both = await Promise.all([send(a, twice), send(b, twice), send(b, twice)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 401, 401]);
  }
  expect(backend.requests).toHaveLength(before + 10);
});

test("a signature expires in Redis, but not before the slowest clock refuses it", async () => {
  const redis = await startRedis();
  const { a } = await startTwo(redis.url);
  await connected(a);
  const [key = "", ...more] = await redis.client.keys("sluice:*:signature:*");
  expect(more).toEqual([]);
  const leftMs = await redis.client.pttl(key);
  expect(leftMs).toBeGreaterThan(15 * 60_000 + 50_000);
  expect(leftMs).toBeLessThanOrEqual(16 * 60_000);
});

test("while Redis is away a signature that may be used only once gets a 503, and is accepted later", async () => {
  const port = await refusedPort();
  const { backend, a } = await startTwo(`redis://127.0.0.1:${port}`);
  const raw = signed("n", "0");
  expect((await send(a, raw)).status).toBe(503);
  expect(backend.requests).toHaveLength(0);
  expect(await a.requestLine()).toMatchObject({ status: 503, err: { code: "replay_unknown" } });
  await startRedis({ options: ["--port", String(port)] });
  await eventually(async () => (await send(a, raw)).status === 200, "Redis to be found", {
    timeoutMs: 10_000,
  });
});

test("a rate counts for all instances, by address", async () => {
  const redis = await startRedis();
  const { a, b } = await startTwo(redis.url);
  await connected(a);
  await connected(b);
  expect((await limited(a)).status).toBe(200);
  expect((await limited(b)).status).toBe(200);
  expect((await limited(a)).status).toBe(429);
  const refused = await limited(b);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(50);
  expect(await refusalOf(refused)).toMatchObject({ status: 429, body: { error_code: "APIG.0308" } });
  expect((await limited(b, "10.0.0.2")).status).toBe(200);
});

test("counts of other rates for a refused request are released in Redis, too", async () => {
  const redis = await startRedis();
  const { a, b } = await startTwo(redis.url, [
    { requests: 3, per: "1m", by: "route" },
    { requests: 2, per: "1m", by: "ip" },
  ]);
  await connected(a);
  await connected(b);
  const answers: number[] = [];
  for (const gateway of [a, b, a, b]) answers.push((await limited(gateway)).status);
  answers.push((await limited(b, "10.0.0.2")).status, (await limited(a, "10.0.0.3")).status);
  expect(answers).toEqual([200, 200, 429, 429, 200, 429]);
});

test("after its end a window begins again for all instances", async () => {
  const redis = await startRedis();
  // Longer than a machine stands still between two requests.
  const { a, b } = await startTwo(redis.url, { requests: 1, per: "2s" });
  await connected(a);
  await connected(b);
  const from = performance.now();
  expect((await limited(a)).status).toBe(200);
  expect((await limited(b)).status).toBe(429);
  await eventually(async () => (await limited(b)).status === 200, "a new window");
  expect(performance.now() - from).toBeGreaterThan(1900);
  // The new window began less than two windows after the first request.
  expect(performance.now() - from).toBeLessThan(3900);
});

test("a reload of one instance keeps the counts of the others", async () => {
  const redis = await startRedis();
  const { a, b, setup } = await startTwo(redis.url);
  await connected(a);
  await connected(b);
  for (const gateway of [a, b]) expect((await limited(gateway)).status).toBe(200);
  const { limited: _gone, ...routes } = setup.routes;
  await a.reload({ ...setup, routes });
  await a.reload(setup);
  expect((await limited(a)).status).toBe(429);
  expect((await limited(b)).status).toBe(429);
});

test("while Redis is away each instance counts for itself, and only one request waits for the timeout", async () => {
  const redis = await startRedis();
  const { a, b } = await startTwo(redis.url, RATE, "1s");
  await connected(a);
  await connected(b);
  redis.freeze();
  const from = performance.now();
  for (const gateway of [a, a, a, b, b, b]) await limited(gateway, "10.0.0.9");
  // One timeout for each instance, whose connection is then dropped.
  expect(performance.now() - from).toBeLessThan(3800);
  expect((await limited(a, "10.0.0.9")).status).toBe(429);
  expect((await limited(a, "10.0.0.8")).status).toBe(200);
  redis.thaw();
  for (const gateway of [a, b]) await connected(gateway);
  const answers: number[] = [];
  for (const gateway of [a, b, a]) answers.push((await limited(gateway, "10.0.0.7")).status);
  expect(answers).toEqual([200, 200, 429]);
});
