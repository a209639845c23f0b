import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const PATH = "/.sluice/probe";
const ROUTE = { match: { path: "/x" }, mock: { body: "x" } };
const start = (server: Readonly<Record<string, unknown>> = { probe: true }) =>
  startGateway({ routes: { main: ROUTE }, server });

/** Returns the data of the events in a body. */
const eventsIn = (text: string) =>
  [...text.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data) as Record<string, unknown>);

test("it sends events with number, time and padding, through the relay like a backend's", async () => {
  const gateway = await start();
  const before = Date.now();
  const client = openStream(gateway.port, { path: `${PATH}?n=3&gap=20ms&pad=5` });
  expect(await client.ended()).toBe("clean");
  const times = eventsIn(client.text).map(({ t }) => Number(t));
  expect(eventsIn(client.text)).toEqual([1, 2, 3].map((i) => ({ i, t: times[i - 1], pad: "xxxxx" })));
  // Each event has its own send time.
  expect(times[0]).toBeGreaterThanOrEqual(before);
  expect((times[2] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(38);
  expect(client.field("content-type")).toBe("text/event-stream");
  expect(client.field("x-accel-buffering")).toBe("no");
  expect(client.field("cache-control")).toBe("no-cache, no-transform");
  expect(await gateway.requestLine()).toMatchObject({
    route: "sluice.probe",
    events: 3,
    endReason: "backend_ended",
  });
});

test("without parameters it sends 20 events, one every 500 ms", async () => {
  const gateway = await start();
  const client = openStream(gateway.port, { path: PATH });
  await client.received('{"i":2,');
  client.leave();
  expect(await gateway.requestLine()).toMatchObject({ endReason: "client_gone" });
});

test("a reconnecting client resumes after its last id", async () => {
  const gateway = await start();
  const client = openStream(gateway.port, {
    path: `${PATH}?n=5&gap=0ms`,
    headers: { "Last-Event-ID": "3" },
  });
  await client.ended();
  expect(eventsIn(client.text).map(({ i }) => i)).toEqual([4, 5]);
});

test.each([
  ["n=0", "n: expected a count from 1 to 1000"],
  ["n=1001", "n: expected a count from 1 to 1000"],
  ["n=1e3", "n: expected a count from 1 to 1000"],
  ["n=1&n=2", "n: expected a count from 1 to 1000"],
  ["gap=11m", "gap: expected a time from 0ms to 10m such as 500ms"],
  ["gap=5", "gap: expected a time from 0ms to 10m such as 500ms"],
  ["pad=65k", "pad: expected a size from 0 to 64k such as 5000"],
  ["pad=-1", "pad: expected a size from 0 to 64k such as 5000"],
  ["n=1000&gap=10m", "n times gap: expected at most 1h"],
])("a query beyond its bounds is refused: %s", async (query, fault) => {
  const gateway = await start();
  const response = await fetch(`${gateway.url}${PATH}?${query}`);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ error_msg: `API request error.: ${fault}` });
});

test("HEAD gets the same fields; other methods are refused", async () => {
  const gateway = await start();
  const head = await fetch(gateway.url + PATH, { method: "HEAD" });
  expect([head.status, head.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  expect((await fetch(gateway.url + PATH, { method: "POST" })).status).toBe(405);
});

test("the number of open probe streams is bounded", async () => {
  const gateway = await start({ probe: { streams: 1 } });
  const first = openStream(gateway.port, { path: `${PATH}?gap=10m&n=2` });
  await first.received("data:");
  expect((await fetch(gateway.url + PATH)).status).toBe(503);
  first.leave();
  await eventually(async () => {
    const response = await fetch(`${gateway.url}${PATH}?n=1`);
    await response.text();
    return response.status === 200;
  });
});

test("without the key there is no probe stream, and the path belongs to the routes", async () => {
  expect((await fetch((await start({})).url + PATH)).status).toBe(404);
  const gateway = await startGateway({
    routes: { all: { match: { path: "/*" }, mock: { body: "of the route" } } },
  });
  expect(await (await fetch(gateway.url + PATH)).text()).toBe("of the route");
});

test("it takes precedence over routes for all paths and for a host", async () => {
  const mock = { body: "of the route" };
  const gateway = await startGateway({
    routes: {
      all: { match: { path: "/*" }, mock },
      host: { match: { path: "/*", host: "127.0.0.1" }, mock },
    },
    server: { probe: true },
  });
  expect(eventsIn(await (await fetch(`${gateway.url}${PATH}?n=1`)).text())).toHaveLength(1);
  expect(await (await fetch(`${gateway.url}/other`)).text()).toBe("of the route");
});

test("a reload can open it, keep it with its streams, and close it", async () => {
  const gateway = await startGateway({
    routes: { main: { match: { path: "/*" }, upstream: "http://127.0.0.1:1" } },
  });
  const setup = (probe: boolean) => ({
    routes: { main: { match: { path: "/*" }, upstream: "http://127.0.0.1:1" } },
    server: { probe, drain: { timeout: "100ms" } },
  });
  const reloaded = () => gateway.log.findLast(({ msg }) => msg === "reloaded");
  await gateway.reload(setup(true));
  expect(reloaded()).toMatchObject({ added: ["sluice.probe"], changed: [] });
  const client = openStream(gateway.port, { path: `${PATH}?n=2&gap=10m`, headers: EVENT_SOURCE });
  await client.received("data:");
  await gateway.reload(setup(true));
  expect(reloaded()).toMatchObject({ added: [], changed: [], removed: [] });
  await gateway.reload(setup(false));
  expect(reloaded()).toMatchObject({ removed: ["sluice.probe"] });
  // A removed route ends its streams between two events.
  expect(await client.ended()).toBe("clean");
});
