import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

// Two responses once owned one connection: an upgrade overtook the request before it, and an ignored upgrade, parsed
// again, sent a second head and ended the process.

const get = (path: string, fields = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}`;
const CONNECT = "CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n\r\n";
const IGNORED = "Connection: Upgrade\r\nUpgrade: foo\r\n";

/** The requests by path, which the test answers. */
async function start(route: Readonly<Record<string, unknown>> = {}, server = {}) {
  const requests = new Map<string, BackendRequest>();
  const backend = await startBackend((request) => requests.set(request.target, request));
  const gateway = await startGatewayTo(backend.url, { websocket: true, ...route }, server);
  const at = (path: string) =>
    eventually(() => requests.get(path), `${path} at the backend`) as Promise<BackendRequest>;
  return { backend, gateway, requests, at };
}

test.each([
  ["a GET", get("/first")],
  ["a POST", post("/first")],
])("a WebSocket handshake behind %s waits for that response", async (_, first) => {
  const { gateway, at, requests } = await start();
  const client = await openRaw(gateway.port);
  client.send(first + handshake("/ws"));
  const request = await at("/first");
  expect(requests.has("/ws")).toBe(false);
  request.respond(200, {}, "answer-to-first");
  (await at("/ws")).send(`${switching()}hi`);
  await client.received("hi");
  expect(client.text).toMatch(/^HTTP\/1.1 200 .*answer-to-firstHTTP\/1.1 101 /s);
});

test("CONNECT behind a request is refused after that request's response", async () => {
  const { gateway, at } = await start();
  const client = await openRaw(gateway.port);
  client.send(get("/first") + CONNECT);
  (await at("/first")).respond(200, {}, "answer-to-first");
  await client.received("HTTP/1.1 405");
  expect(client.text).toMatch(/^HTTP\/1.1 200 .*answer-to-firstHTTP\/1.1 405 /s);
});

test("an ignored upgrade behind a request gets a response and a log line, and releases its place when its client disconnects", async () => {
  const { gateway, at, requests, backend } = await start({ limits: { streams: 1 } });
  for (let round = 0; round < 3; round++) {
    requests.clear();
    const client = await openRaw(gateway.port);
    client.send(get("/first") + get("/stream", `Accept: text/event-stream\r\n${IGNORED}`));
    (await at("/first")).respond(200, {}, "ok");
    const stream = await at("/stream");
    stream.openStream();
    stream.emit("data: 1\n\n");
    await client.received("data: 1\n\n");
    client.socket.destroy();
    await stream.connection.closed;
    await eventually(() => gateway.requestLines().length === 2 * (round + 1), "both log lines");
    expect(gateway.requestLines().at(-1)).toMatchObject({ path: "/stream", endReason: "client_gone" });
  }
  await eventually(() => backend.requests.length === 6);
});

test("invalid HTTP behind an ignored upgrade is refused once, after the stream", async () => {
  const backend = await startBackend((request) => {
    if (request.target === "/first") request.respond(200, {}, "ok");
  });
  const upstream = backend.url;
  const gateway = await startGateway({
    routes: {
      news: { match: { path: "/news" }, upstream, shared: { linger: "1ms" } },
      rest: { match: { path: "/*" }, upstream },
    },
  });
  const client = await openRaw(gateway.port);
  client.send(get("/first") + get("/news", IGNORED));
  await eventually(() => backend.requests.length === 2, "the dial of the shared stream");
  client.send("\0");
  client.send("\0\0");
  backend.requests[1]?.openStream();
  backend.requests[1]?.emit("data: 1\n\n");
  await client.received("data: 1\n\n");
  expect(client.ending).toBe("open");
  client.socket.destroy();
  await eventually(() => backend.openConnections <= 1, "the end of the shared stream");
  expect(gateway.log.filter(({ msg }) => msg === "internal error")).toEqual([]);
});

test.each([
  ["GET", get("/first")],
  ["POST", post("/first")],
])("stray bytes behind a %s get one 400, after its response", async (_, first) => {
  const { gateway, at } = await start();
  const client = await openRaw(gateway.port);
  client.send(first);
  const request = await at("/first");
  client.send("}");
  client.send("}}");
  request.respond(200, {}, "answer-to-first");
  await client.received("HTTP/1.1 400");
  await client.ended();
  expect(client.text.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 400"]);
  await eventually(() => gateway.requestLines().length === 2, "both log lines");
  expect(gateway.requestLines().map(({ status }) => status)).toEqual([200, 400]);
});

test("an invalid body ends its own request, after the earlier responses", async () => {
  const { gateway, at } = await start();
  const client = await openRaw(gateway.port);
  client.send(`${get("/first")}POST /second HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n`);
  (await at("/first")).respond(200, {}, "ok");
  await client.ended();
  expect(client.text.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 400"]);
  await eventually(() => gateway.requestLines().length === 2, "both log lines");
});

test.each([
  ["an upgrade", handshake("/ws"), switching()],
  ["a CONNECT", CONNECT, ""],
])(
  "a response larger than the connection's buffers continues while %s waits behind it",
  async (_, waiting, answer) => {
    const { gateway, at, backend } = await start();
    const client = await openRaw(gateway.port);
    client.socket.pause();
    client.send(get("/large") + waiting);
    const body = Buffer.alloc(16 * 1024 * 1024, "x");
    (await at("/large")).respond(200, {}, body);
    await eventually(
      () => backend.connections[0]?.socket.writableNeedDrain === true,
      "a backend under back-pressure",
    );
    client.socket.resume();
    if (answer !== "") (await at("/ws")).send(answer);
    await client.received(`HTTP/1.1 ${answer === "" ? 405 : 101}`);
    expect(client.bytes.length).toBeGreaterThan(body.length);
  },
);

test.each([
  ["an upgrade", handshake("/ws")],
  ["a CONNECT", CONNECT],
])("a client that sends more than the bound behind %s in waiting is disconnected", async (_, waiting) => {
  const { gateway, at } = await start();
  const flooding = await openRaw(gateway.port);
  flooding.send(post("/first") + waiting);
  const request = await at("/first");
  flooding.send("x".repeat(128 * 1024));
  await flooding.ended();
  await request.connection.closed;
});

test("a client that sends more than the bound behind its WebSocket handshake is disconnected", async () => {
  const { gateway, at } = await start();
  const flooding = await openRaw(gateway.port);
  flooding.send(handshake("/ws"));
  const request = await at("/ws");
  flooding.send("x".repeat(128 * 1024));
  await flooding.ended();
  await request.connection.closed;
});

test("a client's disconnect is noticed although the body of a waiting request came late", async () => {
  const { gateway, at } = await start({}, { limits: { bodyTimeout: "1s" } });
  const client = await openRaw(gateway.port);
  // More than node:http buffers of an unread body.
  client.send(`${post("/first")}POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n`);
  const request = await at("/first");
  for (let sent = 0; sent < 10; sent++) {
    client.send("x".repeat(10_000));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  client.leave();
  await request.connection.closed;
});

test.each([
  ["invalid HTTP", "", "}"],
  ["a request behind the last one", "Connection: close\r\n", get("/more")],
])("a client that ends its half behind %s ends its stream", async (_, fields, more) => {
  const { gateway, at } = await start();
  const client = await openRaw(gateway.port);
  // node:http reads this request, as the body shows.
  client.send(`POST /stream HTTP/1.1\r\nHost: a\r\n${fields}Content-Length: 2\r\n\r\n{}`);
  const stream = await at("/stream");
  stream.openStream();
  stream.emit("data: 1\n\n");
  await client.received("data: 1\n\n");
  client.send(more);
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.halfClose();
  await stream.connection.closed;
});

test.each([10, 20_000])(
  "a client's disconnect is noticed while an upgrade waits behind its body of %d bytes",
  async (length) => {
    const { gateway, at } = await start();
    const client = await openRaw(gateway.port);
    const body = `${length.toString(16)}\r\n${"x".repeat(length)}\r\n0\r\n\r\n`;
    // In one packet: Node's parser pauses for the body, and is freed before it would resume.
    client.send(
      `POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}${get("/x", IGNORED)}`,
    );
    const stalled = await at("/first");
    stalled.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    await client.received("abc");
    client.halfClose();
    await stalled.connection.closed;
  },
);
