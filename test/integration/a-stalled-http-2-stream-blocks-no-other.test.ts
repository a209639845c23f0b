import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { CODE, FRAME, frame, get, openFrames, uint32 } from "../support/http2-frames.ts";

test("a client that does not read its stream stops the backend within clientBuffer", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, {
    stream: { clientBuffer: "64k", sendTimeout: "1h" },
  });
  const client = await openHttp2(gateway.port, { settings: { initialWindowSize: 1024 } });
  const exchange = client.request();
  exchange.stream.pause();
  const request = await backend.nextRequest();
  await exchange.opened();
  const event = `data: ${"x".repeat(8000)}\n\n`;
  const { socket } = request.connection;
  let sent = 0;
  while (sent < 200 * 1024 * 1024 && socket.writableLength < 1024 * 1024) {
    request.emit(event);
    sent += event.length;
    if (sent % (event.length * 50) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  // The kernel's buffers on both ends, and the gateway's.
  expect(sent - socket.writableLength).toBeLessThan(16 * 1024 * 1024);
  exchange.stream.resume();
  await eventually(() => exchange.body.length === sent + 2, "every byte", {
    timeoutMs: 25_000,
    everyMs: 50,
  });
  expect(exchange.text).toBe(`:\n${event.repeat(sent / event.length)}`);
});

test("the stream of a client that reads nothing for stream.sendTimeout is reset", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, {
    stream: { sendTimeout: "300ms", clientBuffer: "16k" },
  });
  const client = await openHttp2(gateway.port, { settings: { initialWindowSize: 100 } });
  const exchange = client.request();
  exchange.stream.pause();
  const request = await backend.nextRequest();
  await exchange.opened();
  for (let at = 0; at < 100; at++) request.emit(`data: ${"x".repeat(1000)}\n\n`);
  expect(await gateway.requestLine()).toMatchObject({ endReason: "slow_client" });
  await request.connection.closed;
  exchange.stream.resume();
  expect(await exchange.closed()).toBe(CODE.internal);
});

test("99 streams of a connection continue beside one that its client does not read", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, { stream: { clientBuffer: "64k" } });
  const client = await openHttp2(gateway.port, { settings: { initialWindowSize: 16_384 } });
  // Only the stream's window is closed: the client must keep that of the connection open.
  client.session.setLocalWindowSize(8 * 1024 * 1024);
  const stalled = client.request({ ":path": "/stalled" });
  stalled.stream.pause();
  const stalledRequest = await backend.nextRequest();
  const others = Array.from({ length: 99 }, (_, at) => client.request({ ":path": `/${at}` }));
  await Promise.all(others.map((other) => other.received(":\n")));
  for (let at = 0; at < 200; at++) stalledRequest.emit(`data: ${"x".repeat(1000)}\n\n`);
  const requests = backend.requests.filter(({ target }) => target !== "/stalled");
  for (let round = 0; round < 5; round++) {
    for (const request of requests) request.emit(`data: ${request.target} ${round}\n\n`);
    await Promise.all(others.map((other, at) => other.received(`data: /${at} ${round}\n\n`)));
  }
  for (const [at, other] of others.entries()) {
    expect(other.text).toBe(`:\n${[0, 1, 2, 3, 4].map((round) => `data: /${at} ${round}\n\n`).join("")}`);
  }
});

test("busy streams share a connection fairly", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url);
  const client = await openHttp2(gateway.port);
  // As browsers request (RFC 9218): otherwise newer Nodes send all data of one stream before the next.
  const incremental = { priority: "u=3, i" };
  const exchanges = Array.from({ length: 20 }, (_, at) =>
    client.request({ ":path": `/${at}`, ...incremental }),
  );
  await Promise.all(exchanges.map((exchange) => exchange.received(":\n")));
  const event = `data: ${"x".repeat(4000)}\n\n`;
  // Far more than the buffers of all sockets, because data in them arrives in any order.
  const rounds = 250;
  for (let round = 0; round < rounds; round++) for (const request of backend.requests) request.emit(event);
  const whole = event.length * rounds + 2;
  await eventually(() => exchanges.some(({ body }) => body.length === whole), "the first stream to end", {
    timeoutMs: 20_000,
    everyMs: 1,
  });
  // No stream starves meanwhile.
  for (const { body } of exchanges) expect(body.length).toBeGreaterThan(event.length);
  await eventually(() => exchanges.every(({ body }) => body.length === whole), "all of them", {
    timeoutMs: 20_000,
  });
});

test("beyond http2.maxConcurrentStreams a client waits and continues when a stream ends", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, {}, {}, { http2: { maxConcurrentStreams: 3 } });
  const client = await openHttp2(gateway.port);
  expect(client.session.remoteSettings.maxConcurrentStreams).toBe(3);
  const exchanges = Array.from({ length: 4 }, () => client.request());
  await Promise.all(exchanges.slice(0, 3).map((exchange) => exchange.received(":\n")));
  expect(backend.requests.length).toBe(3);
  exchanges[0]?.stream.close(CODE.cancel);
  const last = exchanges[3];
  await eventually(() => last?.text !== "" || last.isClosed, "the fourth to be answered");
  // Newer Nodes refuse a new stream in the packet that ends another one.
  if (last?.isClosed) {
    expect(last.stream.rstCode).toBe(CODE.calm);
    await client.request().received(":\n");
  }
  expect(backend.requests.length).toBe(4);
});

test("a client that does not wait is refused without a dial", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(
    backend.url,
    {},
    {},
    // If nghttp2 stops responding, the second ping ends the connection. A pong may be a second late.
    { http2: { maxConcurrentStreams: 3, pingInterval: "1500ms" } },
  );
  const other = await openHttp2(gateway.port);
  const probe = other.request();
  await probe.received(":\n");
  const client = await openFrames(gateway.port);
  for (let at = 0; at < 4; at++) client.request(at * 2 + 1, get());
  await eventually(
    () => client.resetCode(7) === CODE.refused || client.goawayCode() !== undefined || client.isClosed,
    "the refusal",
  );
  client.send(frame(FRAME.windowUpdate, 0, 0, uint32(1000)));
  expect(backend.requests.length).toBeLessThanOrEqual(4);
  backend.requests[0]?.emit("data: on\n\n");
  await probe.received("data: on\n\n");
});

test.each([
  ["a refusal", { access: { deny: ["127.0.0.0/8"] } }],
  ["the first comment line of a stream", {}],
])("a client with a window of 0 is ended after stream.sendTimeout: %s", async (_, route) => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, {
    stream: { sendTimeout: "300ms", heartbeat: "off" },
    ...route,
  });
  const client = await openHttp2(gateway.port, { settings: { initialWindowSize: 0 } });
  const exchange = client.request();
  expect(await exchange.closed()).toBe(CODE.internal);
  expect(await gateway.requestLine()).toMatchObject({ endReason: "slow_client" });
});

test.each([
  ["with heartbeats", { heartbeat: "100ms" }, {}],
  ["without heartbeats", { heartbeat: "off" }, {}],
  ["of a shared stream without heartbeats", { heartbeat: "off" }, { shared: { linger: "1ms" } }],
])(
  "a small event that a client with a closed window does not take ends it: %s",
  async (_name, keys, route) => {
    const backend = await startBackend((request) => request.openStream());
    const stream = { sendTimeout: "300ms", ...keys };
    const gateway = await startSecureGatewayTo(backend.url, { stream, ...route });
    // The first comment line fits, but no event.
    const client = await openFrames(gateway.port);
    const INITIAL_WINDOW_SIZE = Buffer.from([0, 4]);
    client.send(frame(FRAME.settings, 0, 0, Buffer.concat([INITIAL_WINDOW_SIZE, uint32(2)])));
    client.request(1, get());
    const request = await backend.nextRequest();
    await eventually(() => client.of(FRAME.data).length > 0, "the first comment line");
    request.emit("data: 1\n\n");
    await eventually(() => client.resetCode(1) === CODE.internal, "the reset");
    expect(await gateway.requestLine()).toMatchObject({ endReason: "slow_client" });
    await request.connection.closed;
  },
);

test.each([
  ["whole", (request: BackendRequest) => request.respond(200, {}, "a small body")],
  [
    "in parts",
    (request: BackendRequest) => request.send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na part"),
  ],
])(
  "an ordinary response that a client with a window of 0 does not take is logged as slow_client: %s",
  async (_name, respond) => {
    const backend = await startBackend(respond);
    const gateway = await startSecureGatewayTo(backend.url, { stream: { sendTimeout: "300ms" } });
    const client = await openHttp2(gateway.port, { settings: { initialWindowSize: 0 } });
    const exchange = client.request();
    expect(await exchange.closed()).toBe(CODE.internal);
    expect(exchange.status).toBe(200);
    expect(await gateway.requestLine()).toMatchObject({ status: 200, endReason: "slow_client" });
  },
);

test("a quiet stream whose client has taken everything stays open beyond stream.sendTimeout", async () => {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, {
    stream: { sendTimeout: "200ms", heartbeat: "off" },
  });
  const client = await openHttp2(gateway.port);
  const exchange = client.request();
  const request = await backend.nextRequest();
  await exchange.received(":\n");
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  request.emit("data: late\n\n");
  await exchange.received("data: late\n\n");
});
