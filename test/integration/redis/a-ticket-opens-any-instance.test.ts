import { expect, test } from "vitest";
import { startPlainBackend } from "../../support/answers.ts";
import { refusedPort } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../../support/gateway.ts";
import { type Issuer, startIssuer } from "../../support/issuer.ts";
import { startRedis } from "../../support/redis.ts";

/**
 * Starts two instances. The long default timeout allows for a busy machine that stops Redis; a test in which Redis is
 * away uses a shorter one.
 */
async function startTwo(redis: string, ticket: Record<string, unknown> = {}, timeout = "5s") {
  const [backend, issuer] = await Promise.all([startPlainBackend(), startIssuer()]);
  const auth = { jwt: issuer.config({ claims: { "X-User": "sub" } }), ticket };
  const setup = {
    server: { redis: { url: redis, lease: "1s", timeout } },
    routes: {
      feed: { match: { path: "/feed/*" }, upstream: backend.url, auth },
      other: { match: { path: "/other" }, upstream: backend.url, auth },
    },
  };
  return { backend, issuer, a: await startGateway(setup), b: await startGateway(setup) };
}

async function ask({ url }: GatewayFixture, issuer: Issuer, path = "/feed/a") {
  const authorization = `Bearer ${await issuer.token()}`;
  return fetch(`${url}${path}?ticket`, { method: "POST", headers: { authorization } });
}

async function ticketOf(...args: Parameters<typeof ask>): Promise<string> {
  return ((await (await ask(...args)).json()) as { ticket: string }).ticket;
}

const use = async ({ url }: GatewayFixture, ticket: string, path = "/feed/a") =>
  (await fetch(`${url}${path}?ticket=${ticket}`)).status;

/** Resolves when this gateway issues tickets in Redis; until then each instance keeps its own tickets. */
async function connected(gateway: GatewayFixture, other: GatewayFixture, issuer: Issuer): Promise<void> {
  // Takes it first, because it would otherwise stay in Redis.
  await eventually(async () => (await use(other, "none")) === 401, "Redis to be found");
  await eventually(async () => (await use(other, await ticketOf(gateway, issuer))) === 200, "common tickets");
}

test("a ticket of one instance opens its path at another, once, for its principal", async () => {
  const redis = await startRedis();
  const { backend, issuer, a, b } = await startTwo(redis.url);
  await connected(a, b, issuer);
  await connected(b, a, issuer);
  const before = backend.requests.length;
  const ticket = await ticketOf(a, issuer);
  expect(await use(b, ticket)).toBe(200);
  expect(backend.requests.at(-1)?.field("x-user")).toBe("anna");
  expect([await use(b, ticket), await use(a, ticket)]).toEqual([401, 401]);
  expect(await use(b, await ticketOf(a, issuer), "/feed/b")).toBe(401);
  expect(await use(b, await ticketOf(a, issuer), "/other")).toBe(401);
  for (let round = 0; round < 10; round += 1) {
    const one = await ticketOf(a, issuer);
    const both = await Promise.all([a, b, a, b].map((gateway) => use(gateway, one)));
    expect(both.toSorted()).toEqual([200, 401, 401, 401]);
  }
  expect(backend.requests).toHaveLength(before + 11);
});

test("Redis keeps the hash of a ticket until it expires, and bounds the tickets of all instances together", async () => {
  const redis = await startRedis();
  const { issuer, a, b } = await startTwo(redis.url, { ttl: "4s", limit: 3 });
  await connected(a, b, issuer);
  await connected(b, a, issuer);
  const tickets = [await ticketOf(a, issuer), await ticketOf(b, issuer), await ticketOf(a, issuer)];
  const refused = await ask(b, issuer);
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get("retry-after"))).toBeLessThanOrEqual(4);
  const keys = await redis.client.keys("*ticket*");
  expect(keys).toHaveLength(4);
  for (const key of keys) {
    expect(await redis.client.pttl(key)).toBeGreaterThan(0);
    for (const ticket of tickets) expect(key).not.toContain(ticket);
  }
  // A used ticket makes room.
  expect(await use(b, tickets[0] ?? "")).toBe(200);
  expect((await ask(b, issuer)).status).toBe(201);
  await eventually(async () => (await redis.client.keys("*ticket*")).length === 0, "the end of all");
  expect(await use(a, tickets[1] ?? "")).toBe(401);
});

test("while Redis is away a ticket is valid at its own instance, and others reply that they cannot know", async () => {
  const port = await refusedPort();
  const { backend, issuer, a, b } = await startTwo(`redis://127.0.0.1:${port}`);
  const ticket = await ticketOf(a, issuer);
  expect(await use(b, ticket)).toBe(503);
  expect(await use(a, ticket)).toBe(200);
  expect(backend.requests).toHaveLength(1);
  const later = await ticketOf(a, issuer);
  await startRedis({ options: ["--port", String(port)] });
  await connected(a, b, issuer);
  expect(await use(a, later)).toBe(200);
});

test("a ticket that Redis may or may not have kept is not issued", async () => {
  const redis = await startRedis();
  const { issuer, a, b } = await startTwo(redis.url, {}, "300ms");
  await connected(a, b, issuer);
  redis.freeze();
  expect((await ask(a, issuer)).status).toBe(503);
  // By now its connection has been dropped, and it keeps its own tickets.
  const ticket = await ticketOf(a, issuer);
  expect(await use(a, ticket)).toBe(200);
  redis.thaw();
});
