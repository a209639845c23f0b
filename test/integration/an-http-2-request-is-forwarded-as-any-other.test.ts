import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { CODE, END_HEADERS, FRAME, frame, get, hpack, openFrames, uint32 } from "../support/http2-frames.ts";

const POST = { ":method": "POST" };

/** Long enough for a handshake on a busy machine too. */
const BRIEF = { limits: { requestTimeout: "1500ms", bodyTimeout: "1500ms" } };

async function start(
  server: Readonly<Record<string, unknown>> = {},
  route: Readonly<Record<string, unknown>> = {},
) {
  const backend = await startBackend();
  const gateway = await startSecureGatewayTo(backend.url, route, server);
  const client = await openHttp2(gateway.port);
  return { backend, gateway, client };
}

test("a body with a length is forwarded with the length, a body without in chunks, both byte for byte", async () => {
  const { backend, client } = await start();
  const body = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));
  for (const length of [{ "content-length": body.length }, {}]) {
    const exchange = client.request({ ...POST, ...length }, { endStream: false });
    exchange.stream.end(body);
    const request = await backend.nextRequest();
    expect((await request.wholeBody()).equals(body)).toBe(true);
    expect(request.field("content-length")).toBe("content-length" in length ? "300000" : undefined);
    expect(request.field("transfer-encoding")).toBe("content-length" in length ? undefined : "chunked");
    request.respond(200, {}, body);
    expect(await exchange.closed()).toBe(0);
    expect(exchange.body.equals(body)).toBe(true);
  }
});

test("the backend gets the client's address, scheme and host", async () => {
  const { backend, client, gateway } = await start();
  const exchange = client.request({ ":path": "/a/b?c=d", "x-forwarded-for": "1.2.3.4" });
  const request = await backend.nextRequest();
  expect(request.target).toBe("/a/b?c=d");
  expect(request.field("host")).toBe(gateway.host);
  expect(request.field("x-forwarded-for")).toBe("127.0.0.1");
  expect(request.field("x-forwarded-proto")).toBe("https");
  expect(request.head.fields.filter(([name]) => name.startsWith(":"))).toEqual([]);
  request.respond();
  expect(await exchange.closed()).toBe(0);
  expect(await gateway.requestLine()).toMatchObject({ status: 200, path: "/a/b", endReason: "completed" });
});

test("a body that its client aborts is never complete for the backend", async () => {
  const { backend, gateway } = await start();
  const frames = await openFrames(gateway.port);
  for (const [stream, code] of [CODE.cancel, CODE.none, CODE.internal].entries()) {
    const id = stream * 2 + 1;
    const head = hpack([[":method", "POST"], ...get().slice(1)]);
    frames.send(frame(FRAME.headers, END_HEADERS, id, head), frame(FRAME.data, 0, id, Buffer.from("part")));
    const request = await backend.nextRequest();
    await eventually(() => request.body.length === 4, "the part");
    frames.send(frame(FRAME.reset, 0, id, uint32(code)));
    await request.connection.closed;
    expect(request.isComplete).toBe(false);
    expect(request.connection.received.toString("latin1")).not.toContain("\r\n0\r\n");
  }
  await eventually(() => gateway.requestLines().length === 3, "three lines");
  expect(gateway.requestLines().map(({ status }) => status)).toEqual([499, 499, 499]);
});

test("trailers are forwarded both ways, without those that could pose as header fields", async () => {
  const { backend, client } = await start();
  const stream = client.session.request({ ":path": "/", ...POST, te: "trailers" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1", authorization: "Bearer late" }));
  stream.end("body");
  const trailers = new Promise((resolve) => stream.once("trailers", resolve));
  const request = await backend.nextRequest();
  await request.wholeBody();
  expect(request.trailers).toEqual([["x-sum", "1"]]);
  expect(request.field("te")).toBe("trailers");
  request.send("HTTP/1.1 200 OK\r\nTrailer: X-Total\r\nTransfer-Encoding: chunked\r\n\r\n");
  request.emit("all");
  request.endStream({ "X-Total": "3", "Set-Cookie": "no=1" });
  stream.resume();
  expect(await trailers).toMatchObject({ "x-total": "3" });
  expect(await trailers).not.toHaveProperty("set-cookie");
});

test("repeated field lines keep their meaning, also for fields that must be single", async () => {
  const { backend, client } = await start();
  const exchange = client.request();
  const request = await backend.nextRequest();
  request.respond(200, { "Set-Cookie": ["a=1", "b=2"], "X-Two": ["1", "2"], ETag: ['"a"', '"b"'] });
  const headers = await exchange.opened();
  expect(headers["set-cookie"]).toEqual(["a=1", "b=2"]);
  expect(headers["x-two"]).toBe("1, 2");
  expect(headers.etag).toBe('"a", "b"');
});

test.each([204, 205, 304])("a %i has no body and ends its stream", async (status) => {
  const { backend, client, gateway } = await start();
  const exchange = client.request();
  (await backend.nextRequest()).send(`HTTP/1.1 ${status} X\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n`);
  expect(await exchange.closed()).toBe(0);
  expect(exchange.status).toBe(status);
  expect(exchange.body.length).toBe(0);
  expect(await gateway.requestLine()).toMatchObject({ status, endReason: "completed" });
});

test("HEAD gets the head of a GET, and leaves no stream open", async () => {
  const { backend, client } = await start();
  const exchange = client.request({ ":method": "HEAD" });
  (await backend.nextRequest()).send(
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  expect(await exchange.closed()).toBe(0);
  expect(exchange.headers).toMatchObject({ ":status": 200, "x-accel-buffering": "no" });
  const second = client.request({ ":method": "HEAD" });
  (await backend.nextRequest()).send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  expect(await second.closed()).toBe(0);
  expect(second.headers?.["content-length"]).toBe("1000");
});

test("a refusal is JSON and ends only its stream", async () => {
  const { client, gateway } = await start({}, { match: { path: "/only" } });
  const exchange = client.request({ ":path": "/other" });
  expect(await exchange.closed()).toBe(0);
  expect(exchange.status).toBe(404);
  expect(JSON.parse(exchange.text)).toMatchObject({ error_code: "APIG.0101" });
  const bad = client.request({ ":path": "/a/../b" });
  expect(await bad.closed()).toBe(0);
  expect(bad.status).toBe(400);
  expect(client.isClosed).toBe(false);
  expect(gateway.requestLines().map(({ status }) => status)).toEqual([404, 400]);
});

test("a client that expects 100-continue gets it when its request has a route", async () => {
  const { backend, client } = await start({}, { match: { path: "/up" } });
  const exchange = client.request({ ...POST, ":path": "/up", expect: "100-continue" }, { endStream: false });
  await eventually(() => exchange.interim.includes(100), "100 Continue");
  exchange.stream.end("body");
  const request = await backend.nextRequest();
  expect((await request.wholeBody()).toString()).toBe("body");
  expect(request.field("expect")).toBeUndefined();
  request.respond();
  expect(await exchange.closed()).toBe(0);
  const refused = client.request({ ...POST, ":path": "/", expect: "100-continue" }, { endStream: false });
  expect((await refused.opened())[":status"]).toBe(404);
  expect(refused.interim).toEqual([]);
  const other = client.request({ ...POST, ":path": "/up", expect: "the unexpected" }, { endStream: false });
  expect((await other.opened())[":status"]).toBe(417);
});

test("a response before the end of an upload arrives, and the rest of the upload is declined", async () => {
  const { backend, client } = await start();
  const exchange = client.request(POST, { endStream: false });
  exchange.stream.write(Buffer.alloc(200_000));
  const request = await backend.nextRequest();
  request.respond(413, {}, "too much");
  expect(await exchange.closed()).toBe(0);
  expect([exchange.status, exchange.text]).toEqual([413, "too much"]);
});

test("a backend that does not read stops only its own client's upload", async () => {
  const { backend, client } = await start();
  const exchange = client.request(POST, { endStream: false });
  exchange.stream.write("begin");
  const request = await backend.nextRequest();
  request.stall();
  let written = 0;
  const piece = Buffer.alloc(64 * 1024);
  while (written < 64 * 1024 * 1024 && exchange.stream.writableLength < 1024 * 1024) {
    exchange.stream.write(piece);
    written += piece.length;
    await delay(1);
  }
  expect(written).toBeLessThan(32 * 1024 * 1024);
  const other = client.request(POST, { endStream: false });
  other.stream.end(Buffer.alloc(1_000_000));
  const second = await backend.nextRequest();
  expect((await second.wholeBody()).length).toBe(1_000_000);
  second.respond();
  expect(await other.closed()).toBe(0);
});

test("a body may be silent while its response is under way", async () => {
  const { backend, client } = await start(BRIEF);
  const exchange = client.request(POST, { endStream: false });
  exchange.stream.write("{}");
  const request = await backend.nextRequest();
  request.openStream();
  await exchange.received(":\n");
  await delay(3000);
  exchange.stream.end("[]");
  expect((await request.wholeBody()).toString()).toBe("{}[]");
  request.endStream();
  expect(await exchange.closed()).toBe(0);
});

test("a body that keeps coming is not bounded in time", async () => {
  const { backend, client } = await start(BRIEF);
  const exchange = client.request(POST, { endStream: false });
  for (let sent = 0; sent < 20; sent++) {
    exchange.stream.write("x");
    await delay(150);
  }
  exchange.stream.end();
  const request = await backend.nextRequest();
  expect((await request.wholeBody()).length).toBe(20);
  request.respond();
  expect(await exchange.closed()).toBe(0);
  expect(exchange.status).toBe(200);
});

test("a body that is silent for limits.bodyTimeout gets 408", async () => {
  const { backend, client } = await start(BRIEF);
  const exchange = client.request(POST, { endStream: false });
  exchange.stream.write("slow");
  const request = await backend.nextRequest();
  expect(await exchange.closed()).toBe(0);
  expect(exchange.status).toBe(408);
  await request.connection.closed;
  expect(request.isComplete).toBe(false);
});

test("a connection without a request is ended after limits.requestTimeout, but not a connection with a stream", async () => {
  const { backend, gateway, client } = await start(BRIEF);
  const exchange = client.request();
  (await backend.nextRequest()).openStream();
  await exchange.received(":\n");
  const unused = await openHttp2(gateway.port);
  await unused.closed();
  expect(unused.goawayCode).toBe(0);
  await delay(300);
  expect(exchange.isClosed).toBe(false);
});

test("a WebSocket over HTTP/2 is refused, and browsers then use HTTP/1", async () => {
  const { client, backend } = await start({}, { websocket: true });
  expect(client.session.remoteSettings.enableConnectProtocol).toBe(false);
  const exchange = client.request({ ":method": "CONNECT", ":authority": "a.test", ":path": undefined }, {});
  await exchange.closed();
  expect(exchange.status).toBe(405);
  expect(backend.requests).toEqual([]);
});
