import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { settled, startBareHttpProxy } from "../support/bare-http-proxy.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

// Node holds back a response head until the first byte of its body, and http-proxy does not flush it: `onopen` of a
// stream without events came minutes late, or never.

test("control: http-proxy holds the head back until the first byte", async () => {
  const backend = await startBackend((request) => request.openStream());
  const { port } = await startBareHttpProxy(backend.url);
  const client = openStream(port);
  const request = await backend.nextRequest();
  await settled();
  expect(client.head).toBeUndefined();
  request.emit("data: 1\n\n");
  await client.opened();
});

test.each(["text/event-stream", "text/plain"])("the head of %s is sent at once", async (type) => {
  const backend = await startBackend((request) => request.openStream({ "Content-Type": type }));
  const gateway = await startGatewayTo(backend.url, { stream: { prelude: false } });
  const client = openStream(gateway.port);
  expect((await client.opened()).status).toBe(200);
  expect(client.text).toBe("");
});
