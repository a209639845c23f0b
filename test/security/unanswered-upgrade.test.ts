import { expect, test } from "vitest";
import { refusedPort, startBackend } from "../support/backend.ts";
import { startBareHttpProxy } from "../support/bare-http-proxy.ts";
import { startBlackHole } from "../support/black-hole.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

// When no backend answered an upgrade, http-proxy closed the client's socket without a response; an error handler
// could only write one in the same turn.

const upgrade = async (port: number) => {
  const client = await openRaw(port);
  client.send(handshake());
  await client.ended();
  return client;
};

test("control: http-proxy closes without a response when the backend refuses the connection", async () => {
  const { port } = await startBareHttpProxy(`http://127.0.0.1:${await refusedPort()}`);
  expect((await upgrade(port)).text).toBe("");
});

test("a backend that refuses the connection gives 502", async () => {
  const gateway = await startGatewayTo(`http://127.0.0.1:${await refusedPort()}`, { websocket: true });
  const client = await upgrade(gateway.port);
  expect(client.status).toBe(502);
  expect(client.text).toContain("Connection: close\r\n");
  expect(await gateway.requestLine()).toMatchObject({ status: 502, endReason: "backend_failed" });
});

test("a backend that ignores the connection attempt gives 504 after connectTimeout", async () => {
  const hole = await startBlackHole();
  const upstream = { backends: [{ url: hole.url }], connectTimeout: "200ms" };
  const gateway = await startGatewayTo(hole.url, { upstream, websocket: true });
  expect((await upgrade(gateway.port)).status).toBe(504);
});

test("a backend that resets before its response gives 502", async () => {
  const backend = await startBackend((request) => request.reset());
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  expect((await upgrade(gateway.port)).status).toBe(502);
});

test("a 101 without an upgrade is not a valid response", async () => {
  const backend = await startBackend((request) => request.send("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
  const upstream = { backends: [{ url: backend.url }], responseHeaderTimeout: "200ms" };
  const gateway = await startGatewayTo(backend.url, { upstream, websocket: true });
  expect((await upgrade(gateway.port)).status).toBeGreaterThanOrEqual(502);
});
