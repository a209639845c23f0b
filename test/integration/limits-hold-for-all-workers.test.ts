import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

const TICKS = { match: { path: "/s" }, mock: { events: [{ data: "x", after: "100ms" }], repeat: true } };
const HELLO = { match: { path: "/*" }, mock: { status: 200, body: "hello" } };

async function statusOfStream(port: number) {
  const client = openStream(port, { path: "/s" });
  await eventually(() => client.head !== undefined, "a head");
  return { client, status: client.head?.status };
}

test.each([
  ["limits.streams of a route", { limits: { streams: 3 } }, {}, 503],
  ["limits.streamsPerClient of a route", { limits: { streamsPerClient: 3 } }, {}, 429],
  ["limits.streams of the gateway", {}, { limits: { streams: 3 } }, 503],
])("%s count in all workers, and a released place is free in each", async (_, route, server, refusal) => {
  const served = await serveWorkers({ routes: { ticks: { ...TICKS, ...route } }, server });
  const open = [];
  for (let n = 0; n < 3; n++) open.push(await statusOfStream(served.port));
  expect(open.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await statusOfStream(served.port)).status).toBe(refusal);
  expect((await statusOfStream(served.port)).status).toBe(refusal);
  open[1]?.client.socket.destroy();
  await eventually(async () => (await statusOfStream(served.port)).status === 200, "a place", {
    everyMs: 50,
  });
  expect((await statusOfStream(served.port)).status).toBe(refusal);
});

test("limits.connections count in all workers", async () => {
  const served = await serveWorkers({ routes: { main: HELLO }, server: { limits: { connections: 3 } } });
  const ask = async () => {
    const client = await openRaw(served.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually(() => client.status !== undefined, "an answer");
    return client;
  };
  const open = [await ask(), await ask(), await ask()];
  expect(open.map(({ status }) => status)).toEqual([200, 200, 200]);
  const refused = [await ask(), await ask()];
  expect(refused.map(({ status }) => status)).toEqual([503, 503]);
  for (const client of refused) await client.ended();
  open[0]?.socket.destroy();
  await eventually(async () => (await ask()).status === 200, "a place", { everyMs: 50 });
});

test("a connection limit added by a reload counts the open connections", async () => {
  const routes = { main: HELLO };
  const served = await serveWorkers({ routes });
  const clients = [];
  for (let n = 0; n < 4; n++) {
    const client = await openRaw(served.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await eventually(() => client.status === 200, "an answer");
    clients.push(client);
  }
  served.write({ routes, server: { limits: { connections: 4 } } });
  await eventually(() => served.lines("reloaded").length === 2, "both reloaded");
  expect((await fetchOnce(served.url)).status).toBe(503);
});

test("a rate counts in all workers", async () => {
  const limits = { rate: { requests: 5, per: "60s" } };
  const served = await serveWorkers({ routes: { main: { ...HELLO, limits } } });
  const statuses = [];
  for (let n = 0; n < 8; n++) statuses.push((await fetchOnce(served.url)).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
  await eventually(() => served.lines("request").length === 8, "eight log lines");
  expect(new Set(served.lines("request").map(({ worker }) => worker))).toEqual(new Set([1, 2]));
});

test("limits.tokens count in all workers", async () => {
  const mock = { status: 200, headers: { "Content-Type": "application/json" }, body: USAGE };
  const tokens = { tokens: 1000, per: "1h", reserve: 100 };
  const route = { match: { path: "/*" }, mock, limits: { tokens } };
  const served = await serveWorkers({ routes: { main: route } });
  const ask = () => fetchOnce(served.url, { method: "POST", body: "{}" });
  const becomes = (left: number) =>
    eventually(async () => (await leftOf(served.url)) === left, `${left} tokens`, { everyMs: 20 });
  for (const left of [700, 400, 100]) {
    expect((await ask()).status).toBe(200);
    await becomes(left);
  }
  // A fourth answer has the room of its reserve, once the last HEAD has given back its own, and uses up the limit.
  await eventually(async () => (await ask()).status === 200, "the fourth answer", { everyMs: 20 });
  await eventually(async () => (await ask()).status === 429, "a refusal", { everyMs: 20 });
  expect((await ask()).status).toBe(429);
  expect((await ask()).status).toBe(429);
  // A reload that changes nothing else keeps the counts.
  served.write({ routes: { main: { ...route, debug: true } } });
  await eventually(() => served.lines("reloaded").length === 2, "both reloaded");
  expect((await ask()).status).toBe(429);
  const metrics = await served.metrics();
  expect(metrics.get('sluice_llm_tokens_total{route="main",direction="input"}')).toBe(800);
  expect(new Set(served.lines("request").map(({ worker }) => worker))).toEqual(new Set([1, 2]));
});

const USAGE = '{"usage":{"prompt_tokens":200,"completion_tokens":100}}';

/** Returns the tokens that are left. A HEAD takes the reserve, and gives it back a moment after its response. */
async function leftOf(url: string): Promise<number> {
  const { status, headers } = await fetchOnce(url, { method: "HEAD" });
  return status === 429 ? 0 : Number(headers.get("x-ratelimit-remaining-tokens")) + 100;
}
