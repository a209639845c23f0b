import { EventSource } from "eventsource";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { rawRequest } from "../support/raw-client.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const start = (mock: unknown, more: Record<string, unknown> = {}) =>
  startGateway({ routes: { main: { match: { path: "/*" }, mock, ...more } } });

const TICKS = {
  events: [
    { data: "one", id: "1" },
    { data: { n: 2 }, id: "2", event: "tick", after: "20ms" },
    { data: "three\nlines\nhere", id: "3", comment: "last", after: "20ms" },
  ],
};

test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])("a fixed response to %s", async (method) => {
  const gateway = await start({ status: 201, headers: { "X-Mock": "yes" }, body: { ok: true } });
  const response = await fetch(`${gateway.url}/any/path?q`, {
    method,
    ...(method === "POST" && { body: "x".repeat(300_000) }),
  });
  expect(response.status).toBe(201);
  expect(response.headers.get("x-mock")).toBe("yes");
  expect(response.headers.get("content-type")).toBe("application/json");
  expect(response.headers.get("x-request-id")).toBeTruthy();
  expect(await response.text()).toBe('{"ok":true}');
  expect(await gateway.requestLine()).toMatchObject({ status: 201, endReason: "completed" });
  expect(await gateway.requestLine()).not.toHaveProperty("backend");
});

test("HEAD and 204 have the fields and no body", async () => {
  const gateway = await start({ body: "hello" });
  const head = await fetch(gateway.url, { method: "HEAD" });
  expect(head.headers.get("content-length")).toBe("5");
  expect(head.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  expect(await head.text()).toBe("");
  const none = await fetch((await start({ status: 204, body: "dropped" })).url);
  expect([none.status, none.headers.get("content-type"), await none.text()]).toEqual([204, null, ""]);
});

test("a connection is kept after a mocked response, also if the request had a body", async () => {
  const gateway = await start({ body: "m" });
  const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc`;
  const get = `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
  const { text } = await rawRequest(gateway.port, post + get);
  expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
});

test("the route's edits, CORS and limits apply to a mock", async () => {
  const gateway = await start(
    { body: "m", headers: { "X-One": "1", "X-Two": "2" } },
    {
      cors: true,
      limits: { rate: { requests: 1, per: "1m" } },
      headers: { response: { set: { "X-One": "edited" }, remove: ["X-Two"] } },
    },
  );
  const response = await fetch(gateway.url, { headers: { origin: "https://a.example" } });
  expect(response.headers.get("x-one")).toBe("edited");
  expect(response.headers.get("x-two")).toBeNull();
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect((await fetch(gateway.url)).status).toBe(429);
});

test("a script is relayed like a backend's event stream, event by event", async () => {
  const gateway = await start(TICKS, { cors: true });
  const client = openStream(gateway.port, { headers: { Origin: "https://a.example" } });
  expect(await client.ended()).toBe("clean");
  expect(client.text).toBe(
    'id: 1\ndata: one\n\nevent: tick\nid: 2\ndata: {"n":2}\n\n: last\nid: 3\ndata: three\ndata: lines\ndata: here\n\n',
  );
  expect(client.field("content-type")).toBe("text/event-stream");
  expect(client.field("x-accel-buffering")).toBe("no");
  expect(client.field("cache-control")).toBe("no-cache, no-transform");
  expect(client.field("access-control-allow-origin")).toBe("*");
  expect(client.field("content-length")).toBeUndefined();
  expect(client.arrivals.length).toBeGreaterThanOrEqual(3);
  expect(await gateway.requestLine()).toMatchObject({ status: 200, events: 3, endReason: "backend_ended" });
});

test.each([
  ["2", "3"],
  ["1", "2"],
  ["unknown", "1"],
])("a client that has seen %s resumes with %s", async (seen, next) => {
  const gateway = await start(TICKS);
  const byField = openStream(gateway.port, { headers: { "Last-Event-ID": seen } });
  const byQuery = openStream(gateway.port, { path: `/?lastEventId=${seen}` });
  for (const client of [byField, byQuery]) {
    await client.ended();
    expect(/^id: (.*)$/m.exec(client.text)?.[1]).toBe(next);
  }
});

test("an id with non-ASCII characters is found again", async () => {
  const gateway = await start({
    events: [
      { id: "é", data: "1" },
      { id: "z", data: "2" },
    ],
  });
  const latin1 = Buffer.from("é").toString("latin1");
  const request = `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nLast-Event-ID: ${latin1}\r\n\r\n`;
  const { text } = await rawRequest(gateway.port, request);
  expect(text).toContain("data: 2");
  expect(text).not.toContain("data: 1");
});

test("an EventSource that has seen the whole script gets 204", async () => {
  const gateway = await start(TICKS, { stream: { retry: "10ms" } });
  const source = new EventSource(gateway.url);
  afterTest(() => source.close());
  const data: string[] = [];
  for (const type of ["message", "tick"]) source.addEventListener(type, ({ data: text }) => data.push(text));
  await eventually(() => source.readyState === EventSource.CLOSED);
  expect(data).toEqual(["one", '{"n":2}', "three\nlines\nhere"]);
  expect(gateway.requestLines().map(({ status }) => status)).toEqual([200, 204]);
});

test("repeat restarts the script, also after the last id", async () => {
  const gateway = await start({ ...TICKS, repeat: true });
  const client = openStream(gateway.port, { headers: { "Last-Event-ID": "3" } });
  await eventually(() => client.text.match(/data: one/g)?.length === 3);
  client.leave();
  expect(await gateway.requestLine()).toMatchObject({ status: 499, endReason: "client_gone" });
});

test("heartbeats come while a script is silent, and maxDuration ends it", async () => {
  const gateway = await start(
    { events: [{ data: "x", after: "1h" }] },
    // Longer than a machine stands still: missed heartbeats are not sent later.
    { stream: { heartbeat: "20ms", maxDuration: "1500ms" } },
  );
  const client = openStream(gateway.port, { headers: EVENT_SOURCE });
  expect(await client.ended()).toBe("clean");
  expect(client.text).toMatch(/^(:\n){3,}$/);
  expect(await gateway.requestLine()).toMatchObject({ endReason: "max_duration" });
});

test("HEAD on a script has the head of a stream and leaves none open", async () => {
  const gateway = await start({ ...TICKS, repeat: true });
  const client = openStream(gateway.port, { method: "HEAD" });
  await client.opened();
  expect(client.field("content-type")).toBe("text/event-stream");
  expect(client.field("x-accel-buffering")).toBe("no");
  expect(await gateway.requestLine()).toMatchObject({ status: 200, bytesSent: 0 });
});

test("an HTTP/1.0 client reads a script until the connection closes", async () => {
  const gateway = await start(TICKS);
  const client = openStream(gateway.port, { version: "1.0" });
  expect(await client.ended()).toBe("closed");
  expect(client.field("transfer-encoding")).toBeUndefined();
  expect(client.text).toContain("data: here\n\n");
});

test("a client that reads nothing stops the script instead of filling memory", async () => {
  const big = "x".repeat(1_000_000);
  const gateway = await start(
    { events: [{ data: big, after: "1ms" }, { data: big }], repeat: true },
    { stream: { sendTimeout: "300ms" } },
  );
  openStream(gateway.port, { paused: true });
  const line = await gateway.requestLine();
  expect(line).toMatchObject({ endReason: "slow_client" });
  // Kernel buffers take some megabytes; a script without back-pressure would have made hundreds.
  expect(line["bytesSent"]).toBeLessThan(20_000_000);
});

test("streams of a mock hold places", async () => {
  const gateway = await start(
    { events: [{ data: "x", after: "1h" }] },
    { limits: { streams: 1 }, stream: { heartbeat: "off" } },
  );
  const first = openStream(gateway.port);
  await first.opened();
  const second = openStream(gateway.port);
  await second.ended();
  expect(second.head?.status).toBe(503);
  first.leave();
  await gateway.requestLine(1);
  expect((await openStream(gateway.port).opened()).status).toBe(200);
});

test("debug fields of a mock have no backend latency", async () => {
  const gateway = await start({ body: "m" }, { debug: true });
  const { headers } = await fetch(gateway.url, { headers: { "x-apig-mode": "debug" } });
  expect(headers.get("x-apig-latency")).toMatch(/^\d+$/);
  expect(headers.get("x-apig-upstream-latency")).toBeNull();
});
