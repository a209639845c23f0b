import { expect, test } from "vitest";
import { type BackendRequest, refusedPort } from "../../support/backend.ts";
import { eventually, PATIENCE_MS } from "../../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../../support/gateway.ts";
import { askModel, startModelBackend } from "../../support/model-backend.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { openStream } from "../../support/sse-client.ts";

const RESERVE = 100;

async function startTwo(redis: string, tokens: object = { tokens: 1000, per: "1h", reserve: RESERVE }) {
  const backend = await startModelBackend();
  const setup = {
    server: { redis: { url: redis, lease: "1s", timeout: "5s" }, trustedProxies: ["127.0.0.1"] },
    routes: {
      main: { match: { path: "/*" }, upstream: backend.url, limits: { tokens } },
      found: {
        match: { path: "/found" },
        upstream: backend.url,
        limits: { rate: { requests: 1e6, per: "1h", by: "ip" } },
      },
    },
  };
  return { backend, setup, a: await startGateway(setup), b: await startGateway(setup) };
}

/** Returns the tokens that are left. A HEAD takes the reserve, and gives it back a moment after its response. */
async function left(gateway: GatewayFixture): Promise<number> {
  const response = await fetch(gateway.url, { method: "HEAD" });
  if (response.status === 429) return 0;
  return Number(response.headers.get("x-ratelimit-remaining-tokens")) + RESERVE;
}

const becomes = (gateway: GatewayFixture, tokens: number) =>
  eventually(async () => (await left(gateway)) === tokens, `${tokens} tokens`, { timeoutMs: PATIENCE_MS });

/** Waits until both gateways count in Redis. */
async function bothConnected(redis: RedisServer, gateways: readonly GatewayFixture[]): Promise<void> {
  for (const [index, gateway] of gateways.entries()) {
    const address = `10.0.0.${index}`;
    const isCounted = async () => {
      await fetch(`${gateway.url}/found`, { headers: { "x-forwarded-for": address } });
      return (await redis.client.keys(`*:RELEASE ip ${address}`)).length > 0;
    };
    await eventually(isCounted, "a count in Redis");
  }
}

test("the tokens of all instances count together, and so do their reserves", async () => {
  const redis = await startRedis();
  const { backend, a, b } = await startTwo(redis.url);
  await bothConnected(redis, [a, b]);
  expect((await askModel(a.url, "300,100")).status).toBe(200);
  await becomes(b, 600);
  expect((await askModel(b.url, "200,50")).status).toBe(200);
  await becomes(a, 350);
  const from = backend.requests.length;
  const held = openStream(a.port, { method: "POST", body: "{}", headers: { "x-usage": "hold" } });
  await eventually(() => backend.requests.length > from, "the held request");
  await becomes(b, 250);
  // The abort costs the reserve at every instance.
  held.leave();
  await a.requestLine(a.requestLines().length);
  await becomes(b, 250);
  expect((await askModel(b.url, "250,0")).status).toBe(200);
  await becomes(a, 0);
  expect((await askModel(a.url, "1,1")).status).toBe(429);
});

test("a limit of tokens and an equal rate count apart", async () => {
  const redis = await startRedis();
  const { a, setup } = await startTwo(redis.url);
  await bothConnected(redis, [a]);
  const { main } = setup.routes;
  const rate = { requests: 1000, per: "1h" };
  await a.reload({
    ...setup,
    routes: { ...setup.routes, main: { ...main, limits: { ...main.limits, rate } } },
  });
  expect((await askModel(a.url, "500,0")).status).toBe(200);
  await becomes(a, 500);
  expect(await redis.client.keys("*:RELEASE route")).toHaveLength(2);
});

test("a reload of one instance keeps the tokens that the others have counted", async () => {
  const redis = await startRedis();
  const { a, b, setup } = await startTwo(redis.url);
  await bothConnected(redis, [a, b]);
  await askModel(a.url, "400,0");
  await becomes(b, 600);
  const { main } = setup.routes;
  await a.reload({ ...setup, routes: { ...setup.routes, main: { ...main, limits: {} } } });
  await a.reload(setup);
  await becomes(a, 600);
});

test("a reserve of an earlier window makes no count in Redis negative", async () => {
  const redis = await startRedis();
  const { backend, a } = await startTwo(redis.url);
  await bothConnected(redis, [a]);
  const from = backend.requests.length;
  const held = openStream(a.port, { method: "POST", body: "{}", headers: { "x-usage": "hold" } });
  const request = await eventually(() => backend.requests[from], "the held request");
  const [key = ""] = await redis.client.keys("*:RELEASE route");
  // In Redis the window has ended a moment earlier, and the next one has less in it than the reserve.
  await redis.client.set(key, 5, "PX", 3_600_000);
  (request as BackendRequest).respond(204);
  await held.ended();
  await eventually(async () => (await redis.client.get(key)) !== "5", "the settlement");
  expect(await redis.client.get(key)).toBe("0");
});

test("while Redis is away each instance counts for itself", async () => {
  const port = await refusedPort();
  const { a, b } = await startTwo(`redis://127.0.0.1:${port}`);
  expect((await askModel(a.url, "900,50")).status).toBe(200);
  await eventually(async () => (await left(a)) === 0, "a used up limit");
  expect(await left(b)).toBe(1000);
});
