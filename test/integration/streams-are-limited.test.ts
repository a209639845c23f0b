import { expect, test } from "vitest";
import { refusedPort, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

const SSE = { Accept: "text/event-stream" };

const start = async (limits: unknown, more: Record<string, unknown> = {}) => {
  const backend = await startBackend();
  const route = { match: { path: "/*" }, upstream: backend.url, cors: true, limits, ...more };
  const gateway = await startGateway({ routes: { main: route }, server: { trustedProxies: ["127.0.0.1"] } });
  const open = (headers: Record<string, string> = {}, method = "GET") =>
    openStream(gateway.port, { path: "/", method, headers: { ...headers } });
  /** Opens a stream through the gateway to the backend. */
  const stream = async (headers: Record<string, string> = {}) => {
    const client = open(headers);
    const request = await backend.nextRequest();
    request.openStream();
    await client.opened();
    return { client, request };
  };
  return { backend, gateway, open, stream };
};

const refused = async (client: ReturnType<typeof openStream>, status: number, code: string) => {
  await client.ended();
  expect(client.head?.status).toBe(status);
  expect(Number(client.field("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(client.field("access-control-allow-origin")).toBe("*");
  expect(JSON.parse(client.text)).toMatchObject({ error_code: code });
};

test("a stream beyond the route's limit gets a 503 without reaching the backend; its end frees a place", async () => {
  const { backend, open, stream } = await start({ streams: 2 });
  const first = await stream(SSE);
  const second = await stream(SSE);
  await refused(open(SSE), 503, "SLUICE.0008");
  expect(backend.requests.length).toBe(2);
  first.request.endStream();
  await first.client.ended();
  const third = await stream(SSE);
  second.client.leave();
  await second.request.connection.closed;
  await stream(SSE);
  expect(third.client.end).toBeUndefined();
});

test("a client with too many streams gets a 429; other clients are served", async () => {
  const { open, stream } = await start({ streamsPerClient: 1 });
  await stream({ ...SSE, "X-Forwarded-For": "10.0.0.1" });
  await refused(open({ ...SSE, "X-Forwarded-For": "10.0.0.1" }), 429, "SLUICE.0009");
  await stream({ ...SSE, "X-Forwarded-For": "10.0.0.2" });
});

test("a client that waits for the backend's head holds a place already", async () => {
  const { backend, open } = await start({ streams: 1 });
  const waiting = open(SSE);
  const request = await backend.nextRequest();
  await refused(open(SSE), 503, "SLUICE.0008");
  request.respond(500, {}, "no stream");
  await waiting.ended();
  expect(waiting.head?.status).toBe(500);
  // A response that is not a stream releases the place.
  const next = open(SSE);
  (await backend.nextRequest()).openStream();
  expect((await next.opened()).status).toBe(200);
});

test("a stream that the request did not announce takes a place when its head arrives", async () => {
  const { backend, open, stream } = await start({ streams: 1 });
  await stream();
  const second = open();
  const request = await backend.nextRequest();
  request.openStream();
  await refused(second, 503, "SLUICE.0008");
  await request.connection.closed;
});

test("ordinary responses, HEAD and preflights take no place", async () => {
  const { backend, open, stream } = await start({ streams: 1 });
  await stream(SSE);
  const plain = open({});
  (await backend.nextRequest()).respond(200, {}, "plain");
  await plain.ended();
  expect(plain.text).toBe("plain");
  const head = open(SSE, "HEAD");
  (await backend.nextRequest()).openStream();
  expect((await head.opened()).status).toBe(200);
  const preflight = open(
    { ...SSE, Origin: "https://a.example", "Access-Control-Request-Method": "GET" },
    "OPTIONS",
  );
  await preflight.ended();
  expect(preflight.head?.status).toBe(200);
});

test("an unreachable backend releases the place", async () => {
  const upstream = `http://127.0.0.1:${await refusedPort()}`;
  const route = { match: { path: "/*" }, upstream, limits: { streams: 1 } };
  const gateway = await startGateway({ routes: { main: route } });
  for (const _ of [1, 2, 3]) {
    const client = openStream(gateway.port, { headers: SSE });
    await client.ended();
    expect(client.head?.status).toBe(502);
  }
});

test("a client that aborts before the head releases its place", async () => {
  const { backend, open, stream } = await start({ streams: 1 });
  const client = open(SSE);
  const request = await backend.nextRequest();
  client.leave();
  await request.connection.closed;
  await stream(SSE);
});

test("with onClientGone: drain a stream holds its place until the backend has ended it", async () => {
  const { backend, gateway, open, stream } = await start(
    { streams: 1 },
    { stream: { onClientGone: "drain" } },
  );
  const { client, request } = await stream(SSE);
  client.leave();
  await gateway.requestLine();
  await refused(open(SSE), 503, "SLUICE.0008");
  request.endStream();
  await eventually(async () => {
    const next = open(SSE);
    await eventually(() => next.head !== undefined || backend.requests.length > 1);
    return backend.requests.length > 1;
  });
});

test("after many streams have opened and ended, every place is free", async () => {
  const { backend, open, stream } = await start({ streams: 10, streamsPerClient: 10 });
  for (let round = 0; round < 20; round++) {
    const opened = await Promise.all([stream(SSE), stream(SSE), stream(SSE)]);
    for (const [index, { client, request }] of opened.entries()) {
      if (index === 0) client.leave();
      else if (index === 1) request.endStream();
      else request.reset();
      await client.ended();
    }
  }
  await eventually(() => backend.openConnections <= 10);
  const all = await Promise.all(Array.from({ length: 10 }, () => stream(SSE)));
  expect(all.every(({ client }) => client.head?.status === 200)).toBe(true);
  await refused(open(SSE), 429, "SLUICE.0009");
});

test("the gateway's own limits hold for all routes together", async () => {
  const backend = await startBackend();
  const gateway = await startGateway({
    routes: {
      one: { match: { path: "/one" }, upstream: backend.url, cors: true },
      two: { match: { path: "/two" }, upstream: backend.url, cors: true },
    },
    server: { limits: { streams: 2, streamsPerClient: 1 }, trustedProxies: ["127.0.0.1"] },
  });
  const from = (client: string, path: string) =>
    openStream(gateway.port, { path, headers: { ...SSE, "X-Forwarded-For": client } });
  const open = async (client: string, path: string) => {
    const stream = from(client, path);
    (await backend.nextRequest()).openStream();
    await stream.opened();
    return stream;
  };
  const first = await open("10.0.0.1", "/one");
  await refused(from("10.0.0.1", "/two"), 429, "SLUICE.0009");
  await open("10.0.0.2", "/two");
  await refused(from("10.0.0.3", "/one"), 503, "SLUICE.0008");
  first.leave();
  await eventually(() => gateway.requestLines().length === 3, "the end of the stream");
  await open("10.0.0.3", "/one");
});
