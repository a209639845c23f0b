import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";

const quick = { limits: { requestTimeout: "500ms" } };

test("a slow request head gets 408, and the connection closes", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url, {}, quick);
  const client = await openRaw(gateway.port);
  client.send(`GET / HTTP/1.1\r\nHost: ${gateway.host}\r\nX-Slow: `);
  expect(await client.ended()).toBe("end");
  expect(client.status).toBe(408);
  expect(client.text).toContain('"error_code":"SLUICE.0002"');
  expect(backend.bytesReceived).toBe(0);
});

test("a slow request body gets 408, and its backend request is cancelled", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { cors: true }, quick);
  const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": "100" } });
  client.socket.write("half");
  const request = await backend.nextRequest();
  await client.ended();
  expect(client.head?.status).toBe(408);
  expect(client.field("access-control-allow-origin")).toBe("*");
  await request.connection.closed;
  expect(request.connection.closedBy).toBeDefined();
  expect(await gateway.requestLine()).toMatchObject({ status: 408 });
});

test("a stream continues beyond the same bound", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {}, quick);
  const client = openStream(gateway.port, { method: "POST", body: "{}" });
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  // Beyond the bound plus the second between two checks.
  await delay(2000);
  request.emit("data: late\n\n");
  await client.received("data: late\n\n");
});
