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
