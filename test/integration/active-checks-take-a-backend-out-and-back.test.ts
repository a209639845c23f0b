import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

/** A backend that responds to checks by `health`, and to other requests with 200. */
async function startChecked() {
  const health = { respond: (request: BackendRequest) => request.respond(200) };
  const checks: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    if (request.target !== "/healthz?deep=1") return request.respond(200, {}, "ok");
    checks.push(request);
    health.respond(request);
  });
  const served = () => backend.requests.length - checks.length;
  return { backend, health, checks, served, url: backend.url };
}

const startPool = (urls: readonly string[], check: Record<string, unknown> = {}): Promise<GatewayFixture> =>
  startGatewayTo("", {
    upstream: {
      backends: urls.map((url) => ({ url })),
      balance: "roundRobin",
      healthCheck: { path: "/healthz?deep=1", interval: "50ms", timeout: "100ms", ...check },
    },
  });

const get = async (gateway: GatewayFixture) => {
  const client = openStream(gateway.port);
  await client.ended();
  client.leave();
  return client.head?.status;
};

const changes = (gateway: GatewayFixture) =>
  gateway.log.filter(({ msg }) => /^backend is (?:un)?healthy$/.test(msg));

const FAULTS: Record<string, (request: BackendRequest) => void> = {
  "status 503": (request) => request.respond(503),
  "no response within 100 ms": () => {},
  "socket hang up": (request) => request.halfClose(),
};

test.each(Object.entries(FAULTS))(
  "%s takes a backend out, and good responses bring it back",
  async (reason, fault) => {
    const sick = await startChecked();
    const well = await startChecked();
    const gateway = await startPool([sick.url, well.url], {
      healthy: 2,
      unhealthy: 3,
      // In the other cases a process that stands still must not look like a slow backend.
      ...(reason !== "no response within 100 ms" && { timeout: "2s" }),
    });
    await eventually(() => sick.checks.length > 0 && well.checks.length > 0, "the first checks");
    sick.health.respond = fault;
    const before = sick.checks.length;
    await eventually(() => changes(gateway).length === 1, "the change");
    expect(sick.checks.length - before).toBeGreaterThanOrEqual(3);
    expect(changes(gateway)).toEqual([
      expect.objectContaining({
        level: 40,
        msg: "backend is unhealthy",
        route: "main",
        backend: sick.url,
        reason,
      }),
    ]);
    const served = sick.served();
    for (let n = 0; n < 6; n++) expect(await get(gateway)).toBe(200);
    expect(sick.served()).toBe(served);

    sick.health.respond = (request) => request.respond(204);
    await eventually(() => changes(gateway).length === 2, "the way back");
    for (let n = 0; n < 4; n++) expect(await get(gateway)).toBe(200);
    expect(sick.served()).toBe(served + 2);
    expect(changes(gateway).map(({ msg }) => msg)).toEqual(["backend is unhealthy", "backend is healthy"]);
  },
);

test("when every backend is unhealthy, requests are refused at once", async () => {
  const sick = await startChecked();
  sick.health.respond = (request) => request.respond(500);
  const gateway = await startPool([sick.url]);
  await eventually(() => changes(gateway).length === 1, "the change");
  const client = openStream(gateway.port);
  await client.ended();
  expect(client.head?.status).toBe(502);
  expect(JSON.parse(client.text)).toMatchObject({
    error_code: "APIG.0610",
    error_msg: "No backend available.",
  });
  expect(sick.served()).toBe(0);
  expect(await gateway.requestLine()).toMatchObject({ err: { code: "no_backend" } });
});

test("a check names the backend and sluice, and closes its connection", async () => {
  const checked = await startChecked();
  await startPool([checked.url]);
  const check = await eventually(() => checked.checks[0], "a check");
  expect(check?.method).toBe("GET");
  expect(check?.field("host")).toBe(checked.url.slice("http://".length));
  expect(check?.field("user-agent")).toBe("sluice health check");
  await check?.connection.closed;
});

test("a check that does not end is cancelled, and a backend has one check at a time", async () => {
  const checked = await startChecked();
  let atOnce = 0;
  let most = 0;
  checked.health.respond = (request) => {
    most = Math.max(most, ++atOnce);
    void request.connection.closed.then(() => atOnce--);
    request.openStream();
  };
  const gateway = await startPool([checked.url]);
  await eventually(() => checked.checks.length > 4, "some checks");
  expect(most).toBeLessThanOrEqual(3);
  // A stream counts as a good response.
  expect(changes(gateway)).toEqual([]);
});

test("checks of several backends are not sent all at once, and end with the gateway", async () => {
  const pool = await Promise.all(Array.from({ length: 4 }, () => startChecked()));
  const gateway = await startPool(pool.map(({ url }) => url));
  await eventually(() => pool.every(({ checks }) => checks.length > 4), "some checks");
  const before = performance.now();
  await gateway.close();
  // Without waiting for the grace of 5 s.
  expect(performance.now() - before).toBeLessThan(4000);
  const counts = () => pool.map(({ checks }) => checks.length);
  await eventually(() => pool.every(({ backend }) => backend.openConnections === 0), "no connection");
  const after = counts();
  await delay(200);
  expect(counts()).toEqual(after);
});
