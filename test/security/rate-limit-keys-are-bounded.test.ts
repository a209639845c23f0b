import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { expect, test } from "vitest";
import { limitsSchema } from "../../src/config/limits-schema.ts";
import { memoryWindows } from "../../src/limits/windows.ts";
import { startPlainBackend } from "../support/answers.ts";
import { startGateway } from "../support/gateway.ts";

// One attacker with an IPv6 /32 has 2^32 networks of 2^64 addresses, and each counted network costs about 480 bytes
// until the window ends, which may take a day.
const ATTACK = 100_000;
const KEYS = 1000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const heapMiB = () => {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

test("control: the library alone keeps every key", async () => {
  const limiter = new RateLimiterMemory({ points: 1, duration: 60 });
  for (let n = 0; n < ATTACK; n++) await limiter.consume(`10.0.${n}`);
  expect(limiter.dump().storage.length).toBe(ATTACK);
  for (let n = 0; n < ATTACK; n++) void limiter.delete(`10.0.${n}`);
});

test("with a hundred thousand addresses, the number of keys stays at maxKeys", async () => {
  const [config] = limitsSchema.parse({ rate: { requests: 5, per: "1d", by: "ip", maxKeys: KEYS } }).rate;
  if (config === undefined) throw new TypeError("a rate was given");
  const windows = memoryWindows(config);
  await windows.take("known before");
  const before = heapMiB();
  for (let n = 0; n < ATTACK; n++) await windows.take(`10.0.${n}`);
  expect(heapMiB() - before).toBeLessThan(5);
  // A known client keeps its own count; others are refused together once their shared count is used up.
  expect(await windows.take("known before")).toMatchObject({ isOver: false, remaining: 3 });
  expect(await windows.take("stranger")).toMatchObject({ isOver: true });
  windows.close();
});

test("over sockets: clients beyond maxKeys share one count, and known clients keep their own", async () => {
  const backend = await startPlainBackend();
  const limits = { rate: { requests: 3, per: "1m", by: "ip", maxKeys: 2 } };
  const gateway = await startGateway({
    routes: { main: { match: { path: "/*" }, upstream: backend.url, limits } },
    server: { trustedProxies: ["127.0.0.1"] },
  });
  const from = async (address: string) =>
    (await fetch(gateway.url, { headers: { "x-forwarded-for": address } })).status;
  const statuses: number[] = [];
  for (const last of [1, 2, 3, 4, 5, 6, 7, 1, 2]) statuses.push(await from(`10.0.0.${last}`));
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 200, 200]);
});

test("addresses of one /64 are one key", async () => {
  const backend = await startPlainBackend();
  const limits = { rate: { requests: 2, per: "1m", by: "ip" } };
  const gateway = await startGateway({
    routes: { main: { match: { path: "/*" }, upstream: backend.url, limits } },
    server: { trustedProxies: ["127.0.0.1"] },
  });
  const statuses: number[] = [];
  for (let n = 1; n <= 4; n++) {
    const headers = { "x-forwarded-for": `2001:db8::${n}:0:0:1` };
    statuses.push((await fetch(gateway.url, { headers })).status);
  }
  expect(statuses).toEqual([200, 200, 429, 429]);
});
