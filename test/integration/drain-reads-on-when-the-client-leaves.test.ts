import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { openStream } from "../support/sse-client.ts";

const drain = { stream: { onClientGone: "drain" } };

test("the backend's stream is read to its end, so that the backend can account for all of it", async () => {
  const { client, request, gateway, backend } = await openRelay({ route: drain });
  request.emit("data: 1\n\n");
  await client.received("data: 1\n\n");
  client.leave();
  expect(await gateway.requestLine()).toMatchObject({ status: 499, endReason: "client_gone" });
  // More than all buffers can hold: it is sent only if the gateway reads it.
  for (let n = 0; n < 64; n++) request.emit("x".repeat(256 * 1024));
  await eventually(() => request.connection.socket.writableLength === 0, "the gateway to read it all");
  expect(request.connection.isOpen).toBe(true);
  request.endStream();
  expect(backend.requests).toHaveLength(1);
  expect(gateway.requestLines()).toHaveLength(1);
});

test("the stream of a backend that had not responded yet is read to its end too", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, drain);
  const client = openStream(gateway.port);
  const request = await backend.nextRequest();
  client.leave();
  await gateway.requestLine();
  request.openStream();
  for (let n = 0; n < 64; n++) request.emit("x".repeat(256 * 1024));
  await eventually(() => request.connection.socket.writableLength === 0, "the gateway to read it all");
  expect(request.connection.isOpen).toBe(true);
});

test("idleTimeout still ends such a stream when its backend is silent", async () => {
  const { client, request } = await openRelay({
    route: { stream: { onClientGone: "drain", idleTimeout: "150ms" } },
  });
  client.leave();
  await request.connection.closed;
  expect(request.connection.closedBy).toBeDefined();
});
