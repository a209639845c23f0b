import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { refusalOf, startPlainBackend } from "../support/answers.ts";
import { startGateway } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { rawRequest } from "../support/raw-client.ts";

const CODE_A = "a".repeat(64);
const CODE_B = "b".repeat(64);
const apps = {
  one: { key: "one", secret: "s1", appCodes: [CODE_A] },
  two: { key: "two", secret: "s2", appCodes: [CODE_B] },
};

const start = async (rate: unknown, more: Record<string, unknown> = {}) => {
  const backend = await startPlainBackend();
  const route = { match: { path: "/*" }, upstream: backend.url, limits: { rate }, ...more };
  const server = { trustedProxies: ["127.0.0.1"] };
  const gateway = await startGateway({ routes: { main: route }, server, apps });
  const get = (headers: Record<string, string> = {}, init: RequestInit = {}) =>
    fetch(gateway.url, { ...init, headers });
  const statuses = async (requests: readonly Record<string, string>[]) => {
    const all: number[] = [];
    for (const headers of requests) all.push((await get(headers)).status);
    return all;
  };
  return { backend, gateway, get, statuses };
};

const ip = (address: string) => ({ "x-forwarded-for": address });
const code = (value: string) => ({ "x-apig-appcode": value });

test("a request beyond the rate gets a 429 with Retry-After, and does not reach the backend", async () => {
  const { backend, get } = await start({ requests: 2, per: "1m" }, { cors: true });
  for (const _ of [1, 2]) expect((await get()).status).toBe(200);
  const response = await get({ origin: "https://app.example.com" });
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(50);
  expect(Number(response.headers.get("retry-after"))).toBeLessThanOrEqual(66);
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(await refusalOf(response)).toEqual({
    status: 429,
    body: {
      error_code: "APIG.0308",
      error_msg: "The throttling threshold has been reached.",
      hasId: true,
    },
  });
  expect(backend.requests.length).toBe(2);
});

test("after Retry-After the next request is served", async () => {
  // Longer than a machine stalls between two requests.
  const { get } = await start({ requests: 1, per: "2s" });
  expect((await get()).status).toBe(200);
  const refused = await get();
  expect(refused.status).toBe(429);
  const seconds = Number(refused.headers.get("retry-after"));
  expect([1, 2, 3]).toContain(seconds);
  // A timer may fire a millisecond early.
  await delay(seconds * 1000 + 2);
  expect((await get()).status).toBe(200);
});

test("by ip: each address has its own count, and a /64 counts as one address", async () => {
  const { statuses } = await start({ requests: 1, per: "1m", by: "ip" });
  const requests = ["10.0.0.1", "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"];
  expect(await statuses(requests.map(ip))).toEqual([200, 429, 200, 200, 429, 200]);
});

test("by app: each app has its own count, at any address", async () => {
  const rate = { requests: 1, per: "1m", by: "app" };
  const { statuses } = await start(rate, { auth: { appCode: true } });
  const requests = [
    { ...code(CODE_A), ...ip("10.0.0.1") },
    { ...code(CODE_A), ...ip("10.0.0.2") },
    { ...code(CODE_B), ...ip("10.0.0.1") },
  ];
  expect(await statuses(requests)).toEqual([200, 429, 200]);
});

test("by app on a route without auth: the address counts", async () => {
  const { statuses } = await start({ requests: 1, per: "1m", by: "app" });
  expect(await statuses([ip("10.0.0.1"), ip("10.0.0.1"), ip("10.0.0.2")])).toEqual([200, 429, 200]);
});

test("a request with a wrong credential is not counted", async () => {
  const { statuses } = await start({ requests: 1, per: "1m" }, { auth: { appCode: true } });
  expect(await statuses([code("c".repeat(64)), {}, code(CODE_A), code(CODE_A)])).toEqual([
    401, 401, 200, 429,
  ]);
});

test("all rates of a list hold, and a refused client uses up no rate that it shares with others", async () => {
  const { statuses } = await start([
    { requests: 3, per: "1m", by: "route" },
    { requests: 2, per: "1m", by: "ip" },
  ]);
  const requests = ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.3"];
  expect(await statuses(requests.map(ip))).toEqual([200, 200, 429, 429, 200, 429]);
});

test("a preflight is not counted", async () => {
  const { gateway, statuses } = await start({ requests: 1, per: "1m" }, { cors: true });
  for (const _ of [1, 2, 3]) {
    const headers = { origin: "https://app.example.com", "access-control-request-method": "GET" };
    expect((await fetch(gateway.url, { method: "OPTIONS", headers })).status).toBe(200);
  }
  expect(await statuses([{}, {}])).toEqual([200, 429]);
});

test("an environment has its own count", async () => {
  const { statuses } = await start({ requests: 1, per: "1m" }, { stages: { TEST: {} } });
  expect(await statuses([{ "x-stage": "TEST" }, { "x-stage": "TEST" }, {}])).toEqual([200, 429, 200]);
});

test("a WebSocket counts as a request", async () => {
  const { gateway } = await start({ requests: 1, per: "1m" }, { websocket: true });
  const answers: (number | undefined)[] = [];
  for (const _ of [1, 2]) answers.push((await rawRequest(gateway.port, handshake())).status);
  expect(answers[1]).toBe(429);
});

test("in debug mode the response shows what remains, as the API gateway does", async () => {
  const rate = [
    { requests: 10, per: "10s" },
    { requests: 5, per: "1m", by: "ip" },
    { requests: 3, per: "1h", by: "app" },
  ];
  const debugFields = (response: Response) =>
    [...response.headers].filter(([name]) => name.startsWith("x-apig-")).map(([name]) => name);
  const { get } = await start(rate, { debug: true, auth: { appCode: true } });
  expect(debugFields(await get(code(CODE_A)))).toEqual([]);
  const debugging = await get({ ...code(CODE_A), "x-apig-mode": "debug" });
  expect(debugging.headers.get("x-apig-ratelimit-api")).toBe("remain:8,limit:10,time:10 second");
  expect(debugging.headers.get("x-apig-ratelimit-ip")).toBe("remain:3,limit:5,time:1 minute");
  expect(debugging.headers.get("x-apig-ratelimit-app")).toBe("remain:1,limit:3,time:1 hour");
  expect(debugging.headers.get("x-apig-latency")).toMatch(/^\d+$/);
  expect(debugging.headers.get("x-apig-upstream-latency")).toMatch(/^\d+$/);
  await get(code(CODE_A));
  const refused = await get({ ...code(CODE_A), "x-apig-mode": "debug" });
  expect(refused.status).toBe(429);
  expect(refused.headers.get("x-apig-ratelimit-app")).toBe("remain:0,limit:3,time:1 hour");
  expect(refused.headers.get("x-apig-upstream-latency")).toBeNull();
});

test("without debug on the route no response shows it", async () => {
  const { get } = await start({ requests: 10, per: "10s" });
  const response = await get({ "x-apig-mode": "debug" });
  expect([...response.headers].filter(([name]) => name.startsWith("x-apig-"))).toEqual([]);
});
