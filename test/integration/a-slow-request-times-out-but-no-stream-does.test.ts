import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";

const quick = { limits: { requestTimeout: "500ms", bodyTimeout: "500ms" } };

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

test("a body that keeps coming is not bounded in time", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then((body) => request.respond(200, {}, String(body.length)));
  });
  const gateway = await startGatewayTo(
    backend.url,
    {},
    { limits: { requestTimeout: "500ms", bodyTimeout: "2s" } },
  );
  const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": "20" } });
  for (let sent = 0; sent < 20; sent++) {
    client.socket.write("x");
    await delay(200);
  }
  expect(await client.ended()).toBe("clean");
  expect(client.head?.status).toBe(200);
  expect(client.text).toBe("20");
});

test("a body may be silent while its response is under way", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, {}, quick);
  const client = openStream(gateway.port, { method: "POST", headers: { "Transfer-Encoding": "chunked" } });
  client.socket.write("2\r\n{}\r\n");
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  await delay(2000);
  request.emit("data: 1\n\n");
  await client.received("data: 1\n\n");
  client.socket.write('5\r\n["a"]\r\n0\r\n\r\n');
  expect((await request.wholeBody()).toString()).toBe('{}["a"]');
  request.endStream();
  expect(await client.ended()).toBe("clean");
  expect(await gateway.requestLine()).toMatchObject({ status: 200, endReason: "backend_ended" });
});

test("a body that its backend does not read is not silent", async () => {
  const backend = await startBackend((request) => request.stall());
  const gateway = await startGatewayTo(backend.url, {}, quick);
  const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": "20000000" } });
  client.socket.write(Buffer.alloc(20_000_000));
  const request = await backend.nextRequest();
  await delay(2000);
  request.resume();
  expect((await request.wholeBody()).length).toBe(20_000_000);
  request.respond(200, {}, "ok");
  await client.received("ok");
});

test("the rest of a body whose response is complete is bounded too", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "early"));
  const gateway = await startGatewayTo(backend.url, {}, quick);
  const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": "100" } });
  client.socket.write("half");
  await client.received("early");
  await eventually(() => client.socket.closed, "the end of the connection");
  expect(client.head?.status).toBe(200);
});

test("limits.bodyTimeout of a route takes precedence", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { limits: { bodyTimeout: "500ms" } });
  const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": "100" } });
  client.socket.write("half");
  await client.ended();
  expect(client.head?.status).toBe(408);
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
