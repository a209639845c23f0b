import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startBareHttpProxy } from "../support/bare-http-proxy.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

// http-proxy has one timer, `proxyTimeout`, the socket's: it is meant for a backend that never responds, but it also
// cuts a stream that is silent for that long.

const GET = "GET / HTTP/1.1\r\nHost: sluice.test\r\n\r\n";
// Longer than this process may stall before it responds.
const TIMEOUT_MS = 1500;
const QUIET_MS = 2000;

test("control: http-proxy's response timeout cuts a quiet stream", async () => {
  const backend = await startBackend();
  const { port } = await startBareHttpProxy(backend.url, { proxyTimeout: TIMEOUT_MS });
  const client = await openRaw(port);
  client.send(GET);
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("data: 1\n\n");
  await client.received("data: 1");
  await request.connection.closed;
  expect(request.connection.closedBy).toBeDefined();
});

test("responseHeaderTimeout ends with the response head", async () => {
  const backend = await startBackend();
  const upstream = { backends: [{ url: backend.url }], responseHeaderTimeout: `${TIMEOUT_MS}ms` };
  const gateway = await startGatewayTo(backend.url, { upstream, websocket: true });

  const stream = await openRaw(gateway.port);
  stream.send(GET);
  const streamRequest = await backend.nextRequest();
  streamRequest.openStream();
  const tunnel = await openRaw(gateway.port);
  tunnel.send(handshake());
  const tunnelRequest = await backend.nextRequest();
  tunnelRequest.send(switching());
  await stream.received("\r\n\r\n");
  await tunnel.received("\r\n\r\n");

  await delay(QUIET_MS);
  streamRequest.emit("data: late\n\n");
  tunnelRequest.send("late bytes");
  await stream.received("data: late");
  await tunnel.received("late bytes");
});

test("responseHeaderTimeout bounds a backend that never responds", async () => {
  const backend = await startBackend();
  const upstream = { backends: [{ url: backend.url }], responseHeaderTimeout: `${TIMEOUT_MS}ms` };
  const gateway = await startGatewayTo(backend.url, { upstream, websocket: true });
  const expectTimeout = async (bytes: string) => {
    const client = await openRaw(gateway.port);
    client.send(bytes);
    const request = await backend.nextRequest();
    await client.received("error_code");
    expect(client.status).toBe(504);
    await request.connection.closed;
  };
  await Promise.all([GET, handshake()].map(expectTimeout));
});
