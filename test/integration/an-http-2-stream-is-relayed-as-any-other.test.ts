import { connect } from "node:tls";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually, SOON_MS } from "../support/eventually.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";

const INTERNAL_ERROR = 2;
async function openStream(route: Readonly<Record<string, unknown>> = {}) {
  const backend = await startBackend();
  const gateway = await startSecureGatewayTo(backend.url, route);
  const client = await openHttp2(gateway.port);
  const exchange = client.request({ accept: "text/event-stream" });
  const request = await backend.nextRequest();
  return { backend, gateway, client, exchange, request };
}

test("an event is forwarded in the turn of its arrival, byte for byte, after the first comment", async () => {
  const { exchange, request } = await openStream();
  request.openStream();
  await exchange.received(":\n");
  const events = ["data: one\r\n\r\n", "id: 2\rdata: zwei \u00e4\r\r", "data: 3\n\n"];
  for (const event of events) {
    const sentAt = performance.now();
    request.emit(event);
    await exchange.received(event);
    expect((exchange.arrivals.at(-1)?.at ?? Number.POSITIVE_INFINITY) - sentAt).toBeLessThan(SOON_MS);
  }
  expect(exchange.text).toBe(`:\n${events.join("")}`);
  request.endStream();
  expect(await exchange.closed()).toBe(0);
  expect(exchange.hasEnded).toBe(true);
});

test("the head has the fields for nginx and no field that HTTP/2 forbids", async () => {
  const { exchange, request } = await openStream();
  request.openStream({
    Connection: "keep-alive, X-Hop",
    "Keep-Alive": "timeout=5",
    "X-Hop": "1",
    "X-Kept": "1",
  });
  const headers = await exchange.opened();
  expect(headers).toMatchObject({
    ":status": 200,
    "content-type": "text/event-stream",
    "x-accel-buffering": "no",
    "cache-control": "no-cache, no-transform",
    "x-kept": "1",
  });
  for (const name of [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "x-hop",
    "upgrade",
    "proxy-connection",
  ]) {
    expect(headers).not.toHaveProperty(name);
  }
});

test("a quiet stream gets heartbeats", async () => {
  const { exchange, request } = await openStream({ stream: { heartbeat: "50ms" } });
  request.openStream();
  request.emit("data: 1\n\n");
  await exchange.received("data: 1\n\n:\n:\n");
});

test("a client that resets its stream cancels the backend's at once, and its other streams continue", async () => {
  const { backend, gateway, client, exchange, request } = await openStream();
  request.openStream();
  await exchange.received(":\n");
  const other = client.request({ accept: "text/event-stream" });
  const otherRequest = await backend.nextRequest();
  otherRequest.openStream();
  await other.received(":\n");
  const leftAt = performance.now();
  exchange.stream.close(8);
  expect((await request.connection.closed) - leftAt).toBeLessThan(SOON_MS);
  expect(await gateway.requestLine()).toMatchObject({ status: 499, endReason: "client_gone" });
  otherRequest.emit("data: still here\n\n");
  await other.received("data: still here\n\n");
});

test("a client that closes its connection cancels every stream on it", async () => {
  const backend = await startBackend();
  const gateway = await startSecureGatewayTo(backend.url);
  const options = { port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"] };
  const socket = connect(options);
  const client = await openHttp2(gateway.port, { createConnection: () => socket });
  client.request();
  const request = await backend.nextRequest();
  client.request();
  const second = await backend.nextRequest();
  // Only its half of the connection, like a client that ends regularly.
  socket.end();
  await Promise.all([request.connection.closed, second.connection.closed]);
});

test("when a backend aborts, the stream is reset after the received events, never ended", async () => {
  const { exchange, request, client, gateway } = await openStream();
  request.openStream();
  request.emit("data: whole\n\ndata: half");
  await exchange.received("data: half");
  request.reset();
  expect(await exchange.closed()).toBe(INTERNAL_ERROR);
  expect(exchange.hasEnded).toBe(false);
  expect(exchange.text).toBe(":\ndata: whole\n\ndata: half");
  expect(client.isClosed).toBe(false);
  expect(await gateway.requestLine()).toMatchObject({ endReason: "backend_failed" });
});

test("data in one read with the abort still arrives before the reset", async () => {
  const { exchange, request } = await openStream();
  request.openStream();
  await exchange.received(":\n");
  // A chunk, followed by an invalid one.
  request.send("e\r\ndata: last one\r\nZZ\r\n");
  expect(await exchange.closed()).toBe(INTERNAL_ERROR);
  expect(exchange.text).toBe(":\ndata: last one");
});

test("a body shorter than its announced length is reset", async () => {
  const { exchange, request } = await openStream();
  request.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nshort");
  await exchange.received("short");
  request.halfClose();
  expect(await exchange.closed()).toBe(INTERNAL_ERROR);
  expect(exchange.hasEnded).toBe(false);
});

test("a closing gateway sends GOAWAY, ends streams between two events, and then the connection", async () => {
  const { exchange, request, client, gateway } = await openStream();
  request.openStream();
  request.emit("data: 1\n\ndata: hal");
  await exchange.received("data: hal");
  const closed = gateway.close();
  await eventually(() => client.goawayCode === 0, "GOAWAY");
  expect(exchange.isClosed).toBe(false);
  request.emit("f\n\n");
  expect(await exchange.closed()).toBe(0);
  expect(exchange.text).toContain("data: 1\n\ndata: half\n\n");
  await client.closed();
  await closed;
});

test("a gateway closes at once although a connection without a stream is open", async () => {
  const backend = await startBackend();
  const gateway = await startSecureGatewayTo(backend.url);
  const client = await openHttp2(gateway.port);
  const startedAt = performance.now();
  await gateway.close();
  expect(performance.now() - startedAt).toBeLessThan(4000);
  await client.closed();
});

test("the trailers of a stream are forwarded", async () => {
  const { exchange, request } = await openStream();
  request.openStream({ Trailer: "X-Sum" });
  request.emit("data: 1\n\n");
  await exchange.received("data: 1\n\n");
  request.endStream({ "X-Sum": "abc" });
  expect(await exchange.closed()).toBe(0);
  expect(exchange.trailers).toMatchObject({ "x-sum": "abc" });
});
