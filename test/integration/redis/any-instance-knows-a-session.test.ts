import { expect, test } from "vitest";
import { RIGHTS } from "../../../src/redis/rights-script.ts";
import { type Backend, type BackendRequest, startBackend } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../../support/gateway.ts";
import { handshake } from "../../support/handshake.ts";
import { startOddRedis } from "../../support/odd-redis.ts";
import { openRaw } from "../../support/raw-client.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";
import { fetchOnce, serveWorkers } from "../../support/workers.ts";

const FIELD = "Session-Id";

/** Names a session that the path asks for, as `/new/NAME`. */
function answer(request: BackendRequest): void {
  const name = /^\/new\/(.*)/.exec(request.target)?.[1];
  request.respond(200, name === undefined ? {} : { [FIELD]: name }, "ok");
}

async function startPool(learn: Readonly<Record<string, unknown>> = {}) {
  const backends = await Promise.all(Array.from({ length: 3 }, () => startBackend(answer)));
  const upstream = {
    backends: backends.map(({ url }) => ({ url })),
    balance: "roundRobin",
    sticky: { learn: { field: FIELD, ...learn } },
  };
  const setupOf = (redis: string, timeout = "5s") => ({
    server: { redis: { url: redis, lease: "1s", timeout } },
    routes: { main: { match: { path: "/*" }, upstream } },
  });
  return { backends, setupOf };
}

/** Begins a session; returns the backend that has named it. */
async function begin(url: string, backends: readonly Backend[], name: string): Promise<Backend | undefined> {
  expect((await fetchOnce(`${url}/new/${name}`)).status).toBe(200);
  return backends.find(({ requests }) => requests.some(({ target }) => target === `/new/${name}`));
}

/** Returns the backends that get four requests of a session. */
async function homesOf(url: string, backends: readonly Backend[], name: string) {
  const before = backends.map(({ requests }) => requests.length);
  for (let n = 0; n < 4; n++) await fetchOnce(url, { headers: { [FIELD]: name } });
  return backends.filter(({ requests }, at) => requests.length > (before[at] ?? 0));
}

/** Waits until an instance keeps sessions in Redis. */
async function connected(gateway: GatewayFixture, backends: readonly Backend[], redis: RedisServer) {
  let count = 0;
  await eventually(async () => {
    const before = (await redis.client.keys("*:session:*")).length;
    await begin(gateway.url, backends, `probe-${gateway.port}-${count++}`);
    return (await redis.client.keys("*:session:*")).length > before;
  }, "Redis to be found");
}

async function startTwo(learn: Readonly<Record<string, unknown>> = {}, timeout?: string) {
  const redis = await startRedis();
  const { backends, setupOf } = await startPool(learn);
  const setup = setupOf(redis.url, timeout);
  const [a, b] = [await startGateway(setup), await startGateway(setup)];
  for (const gateway of [a, b]) await connected(gateway, backends, redis);
  return { redis, backends, setup, a, b };
}

test("a session that began at one instance goes to its backend from another, at once", async () => {
  const { backends, a, b } = await startTwo();
  for (let n = 0; n < 12; n++) {
    const [here, there] = n % 2 === 0 ? [a, b] : [b, a];
    const home = await begin(here.url, backends, `session-${n}`);
    expect(await homesOf(there.url, backends, `session-${n}`)).toEqual([home]);
    expect(await homesOf(here.url, backends, `session-${n}`)).toEqual([home]);
  }
});

test("Redis holds neither the name of a session nor a backend's address, and forgets unused sessions", async () => {
  const { redis, backends, a } = await startTwo({ expires: "1500ms" });
  await begin(a.url, backends, "secret-name");
  const keys = await redis.client.keys("*");
  expect(keys.length).toBeGreaterThan(0);
  for (const key of keys) {
    const value = await redis.client.get(key).catch(() => "");
    expect(`${key} ${value}`).not.toContain("secret-name");
    for (const { port } of backends) expect(value).not.toContain(String(port));
  }
  await eventually(async () => (await redis.client.keys("*:session:*")).length === 0, "the end of all");
});

test("if the backend is down, all instances follow the session to the one that took it over", async () => {
  const { backends, a, b } = await startTwo();
  const home = await begin(a.url, backends, "s");
  await home?.close();
  const [next, ...more] = await homesOf(b.url, backends, "s");
  expect([next === home, more]).toEqual([false, []]);
  expect(await homesOf(a.url, backends, "s")).toEqual([next]);
});

test("while Redis is killed or hangs, an instance knows the sessions that it has seen; later all know the new ones", async () => {
  const { redis, backends, a, b } = await startTwo({}, "300ms");
  const home = await begin(a.url, backends, "here");
  expect(await homesOf(b.url, backends, "here")).toEqual([home]);
  redis.freeze();
  expect(await homesOf(a.url, backends, "here")).toEqual([home]);
  expect(await homesOf(b.url, backends, "here")).toEqual([home]);
  redis.thaw();
  await redis.restart();
  const late = await begin(a.url, backends, "late");
  expect(await homesOf(a.url, backends, "late")).toEqual([late]);
  // Redis has lost all its data.
  expect(await homesOf(a.url, backends, "here")).toEqual([home]);
  for (const gateway of [a, b]) await connected(gateway, backends, redis);
  expect(await homesOf(a.url, backends, "late")).toEqual([late]);
  expect(await homesOf(b.url, backends, "late")).toEqual([late]);
  const again = await begin(a.url, backends, "again");
  expect(await homesOf(b.url, backends, "again")).toEqual([again]);
});

test("workers of an instance and another instance share sessions", async () => {
  const redis = await startRedis();
  const { backends, setupOf } = await startPool();
  const setup = setupOf(redis.url);
  const served = await serveWorkers(setup);
  const other = await startGateway(setup);
  await connected(other, backends, redis);
  await eventually(async () => {
    const name = `probe-${performance.now()}`;
    const home = await begin(served.url, backends, name);
    const homes = await homesOf(other.url, backends, name);
    return homes.length === 1 && homes[0] === home;
  }, "Redis to be found");
  for (let n = 0; n < 6; n++) {
    const home = await begin(served.url, backends, `session-${n}`);
    expect(await homesOf(served.url, backends, `session-${n}`)).toEqual([home]);
    expect(await homesOf(other.url, backends, `session-${n}`)).toEqual([home]);
  }
});

test.each([
  ["an address", "http://127.0.0.1:1"],
  ["a name of another length", "abc"],
  ["a number", 7],
  ["a list", ["a"]],
  ["an error", { error: "WRONGTYPE Operation against a key" }],
])("a session for which Redis has %s is looked up in this instance", async (_, reply) => {
  const redis = await startOddRedis((command) => {
    if (command === "EVALSHA" || command === "EVAL") return reply;
    if (command === "INFO") return "redis_version:7.0.0\r\nloading:0\r\n";
    return { status: "OK" };
  });
  const { backends, setupOf } = await startPool();
  const gateway = await startGateway(setupOf(redis.url));
  await eventually(async () => {
    await homesOf(gateway.url, backends, "unknown");
    return redis.commands.includes("EVALSHA");
  }, "the lookup");
  const home = await begin(gateway.url, backends, "s");
  expect(await homesOf(gateway.url, backends, "s")).toEqual([home]);
});

test("the response that names a session waits until Redis has it, at most for the timeout", async () => {
  const redis = await startOddRedis((command) => {
    if (command === "INFO") return "redis_version:7.0.0\r\nloading:0\r\n";
    // No reply at all.
    return command === "SET" ? { raw: "" } : { status: "OK" };
  });
  const { backends, setupOf } = await startPool();
  const gateway = await startGateway(setupOf(redis.url, "700ms"));
  let begun = 0;
  await eventually(async () => {
    await begin(gateway.url, backends, `s${begun++}`);
    return redis.commands.includes("SET");
  }, "the session in Redis");
  const { status, durationMs } = await gateway.requestLine(begun - 1);
  expect(status).toBe(200);
  expect(durationMs).toBeGreaterThanOrEqual(600);
});

test("a client that leaves during the lookup ends its request alone, also one with an upgrade or a body", async () => {
  let isSilent = false;
  let [lookups, connections] = [0, 0];
  const redis = await startOddRedis((command, args) => {
    // Each connection begins with INFO, and then tries the rights of its user.
    if (command === "INFO" && args.length === 0) connections++;
    if (command === "EVALSHA" && args[0] === RIGHTS.sha) return [];
    if (command === "EVALSHA") lookups++;
    if (command === "INFO") return "redis_version:7.0.0\r\nloading:0\r\n";
    if (command !== "EVALSHA" && command !== "EVAL") return { status: "OK" };
    return isSilent ? { raw: "" } : null;
  });
  const { backends, setupOf } = await startPool();
  const { server, routes } = setupOf(redis.url, "500ms");
  const gateway = await startGateway({ server, routes: { main: { ...routes.main, websocket: true } } });
  await eventually(async () => {
    await homesOf(gateway.url, backends, "s");
    return lookups > 0;
  }, "the lookup");
  const asked = () => backends.reduce((sum, { requests }) => sum + requests.length, 0);
  const body = "Content-Length: 5\r\n\r\nab";
  for (const raw of [
    `GET / HTTP/1.1\r\nHost: a\r\n${FIELD}: s\r\n\r\n`,
    `POST / HTTP/1.1\r\nHost: a\r\n${FIELD}: s\r\n${body}`,
    handshake("/", { [FIELD]: "s" }),
  ]) {
    isSilent = false;
    await eventually(async () => {
      const before = lookups;
      await fetchOnce(gateway.url, { headers: { [FIELD]: "s" } });
      return lookups > before;
    }, "Redis to be found again");
    isSilent = true;
    const [before, lines, requests, opened] = [lookups, gateway.requestLines().length, asked(), connections];
    const client = await openRaw(gateway.port);
    client.send(raw);
    await eventually(() => lookups > before, "the lookup");
    client.socket.resetAndDestroy();
    const { endReason } = await gateway.requestLine(lines);
    // The lookup ends after its client: an instance drops a connection without a reply, and opens another one.
    await eventually(() => connections > opened, "the end of the lookup");
    await fetchOnce(gateway.url);
    expect([endReason, asked() - requests]).toEqual(["client_gone", 1]);
  }
  expect(gateway.log.filter(({ msg }) => msg === "internal error")).toEqual([]);
});
