import { Agent } from "node:http";
import type httpProxy from "http-proxy";
import { expect, test } from "vitest";
import { type Backend, startBackend } from "../support/backend.ts";
import { settled, startBareHttpProxy } from "../support/bare-http-proxy.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

// http-proxy waits for `aborted` on the client's request. Node emits it only for an incomplete request, and a GET is
// complete at once: every client that disconnected from a stream left its backend request open.

const GET = "GET /stream HTTP/1.1\r\nHost: sluice.test\r\n\r\n";
const GET_EXPECTING = "GET /stream HTTP/1.1\r\nHost: sluice.test\r\nExpect: 100-continue\r\n\r\n";

/** A common workaround of applications, which helps only in the first case. */
const destroyOnClose = (proxy: httpProxy): void => {
  proxy.on("proxyReq", (backendRequest, _request, response) => {
    response.once("close", () => backendRequest.destroy());
  });
};

async function leaveStream(port: number, backend: Backend, bytes: string) {
  const client = await openRaw(port);
  client.send(bytes);
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("data: 1\n\n");
  await client.received("data: 1");
  client.leave();
  return request.connection;
}

test("control: with http-proxy the backend request stays open after the client of a stream disconnects", async () => {
  const backend = await startBackend();
  const { port } = await startBareHttpProxy(backend.url);
  const connection = await leaveStream(port, backend, GET);
  await settled();
  expect(connection.isOpen).toBe(true);
});

test("the disconnect of a stream's client cancels the backend request", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const connection = await leaveStream(gateway.port, backend, GET);
  await connection.closed;
  expect(connection.closedBy).toBeDefined();
  expect((await gateway.requestLine())["endReason"]).toBe("client_gone");
});

test("the disconnect of a download's client cancels the backend request", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(GET);
  const request = await backend.nextRequest();
  request.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin");
  await client.received("begin");
  client.leave();
  await request.connection.closed;
});

test("control: with Expect, http-proxy emits no proxyReq, so the common workaround leaks", async () => {
  const backend = await startBackend();
  const { port } = await startBareHttpProxy(backend.url, {}, destroyOnClose);
  const repaired = await leaveStream(port, backend, GET);
  await repaired.closed;
  const leaked = await leaveStream(port, backend, GET_EXPECTING);
  await settled();
  expect(leaked.isOpen).toBe(true);
});

test("the disconnect of a client that sent Expect cancels the backend request", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const connection = await leaveStream(gateway.port, backend, GET_EXPECTING);
  await connection.closed;
});

test("control: http-proxy still sends a request whose client disconnects while it waits for a socket", async () => {
  const backend = await startBackend();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const { port } = await startBareHttpProxy(backend.url, { agent }, destroyOnClose);
  const first = await openRaw(port);
  first.send(GET);
  const busy = await backend.nextRequest();
  const waiting = await openRaw(port);
  waiting.send(GET.replace("/stream", "/gone"));
  await settled();
  waiting.leave();
  await settled();
  busy.respond(200);
  const leaked = await backend.nextRequest();
  expect(leaked.target).toBe("/gone");
  expect(leaked.connection.isOpen).toBe(true);
  agent.destroy();
});

test("requests through the gateway do not wait for a socket", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  for (let count = 0; count < 20; count++) (await openRaw(gateway.port)).send(GET);
  for (let count = 0; count < 20; count++) await backend.nextRequest();
  expect(backend.openConnections).toBe(20);
});

test("a pipelined request is not forwarded after its client has disconnected", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(GET + GET.replace("/stream", "/gone"));
  const first = await backend.nextRequest();
  client.leave();
  await first.connection.closed;
  await gateway.requestLine(1);
  expect(backend.requests.map(({ target }) => target)).toEqual(["/stream"]);
});

test("a disconnect before the response to an upgrade cancels the backend request", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  for (const leave of ["leave", "reset", "halfClose"] as const) {
    const client = await openRaw(gateway.port);
    client.send(handshake());
    const request = await backend.nextRequest();
    client[leave]();
    await request.connection.closed;
    expect(request.connection.closedBy).toBeDefined();
  }
  // Unread bytes hide the client's disconnect.
  const eager = await openRaw(gateway.port);
  eager.send(`${handshake()}too early`);
  const request = await backend.nextRequest();
  eager.send("and more");
  eager.leave();
  await request.connection.closed;
  expect((await gateway.requestLine(3))["status"]).toBe(499);
});
