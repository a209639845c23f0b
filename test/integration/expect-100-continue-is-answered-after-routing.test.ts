import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openRaw } from "../support/raw-client.ts";

const ask = (host: string, path: string, expectation = "100-continue") =>
  `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nExpect: ${expectation}\r\nContent-Length: 4\r\n\r\n`;

const quick = (url: string) => ({ backends: [{ url }], responseHeaderTimeout: "800ms" });

test("a request with a route gets one 100, and its body arrives", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then((body) => request.respond(200, {}, body));
  });
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(ask(gateway.host, "/x"));
  await client.received("HTTP/1.1 100 Continue\r\n\r\n");
  expect(client.text).toBe("HTTP/1.1 100 Continue\r\n\r\n");
  client.send("body");
  await client.received("\r\n\r\nbody");
  expect(client.text.match(/HTTP\/1\.1 100/g)).toHaveLength(1);
  // sluice itself sends the 100 and does not forward Expect: the backend would send a second 100.
  expect(backend.requests[0]?.field("expect")).toBeUndefined();
});

test("a body may come long after the 100, and its parts reach the backend as they come", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { upstream: quick(backend.url) });
  const client = await openRaw(gateway.port);
  client.send(ask(gateway.host, "/x"));
  await client.received("100 Continue");
  const request = await backend.nextRequest();
  // Longer than the backend may take for a response head: that time begins behind the body.
  await new Promise((resolve) => setTimeout(resolve, 900));
  client.send("bo");
  await eventually(() => request.body.toString() === "bo", "the first part");
  client.send("dy");
  expect((await request.wholeBody()).toString()).toBe("body");
  request.respond(200, {}, "read");
  await client.received("read");
});

test("a request without a route gets 404 without a 100, and the connection closes", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGateway({ routes: { only: { match: { path: "/x" }, upstream: backend.url } } });
  const client = await openRaw(gateway.port);
  client.send(ask(gateway.host, "/y"));
  await eventually(() => client.status);
  expect(client.status).toBe(404);
  expect(client.text).not.toContain("100 Continue");
  // The client may or may not send the body now, so the next bytes could be read in two ways.
  expect(await client.ended()).toBe("end");
  expect(backend.bytesReceived).toBe(0);
});

test("another expectation gets 417 and never reaches a backend", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(ask(gateway.host, "/x", "200-ok"));
  await client.received("}");
  expect(client.status).toBe(417);
  expect(backend.bytesReceived).toBe(0);
});

test("a GET that expects 100-continue without a body is served", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const client = await openRaw(gateway.port);
  client.send(`GET / HTTP/1.1\r\nHost: ${gateway.host}\r\nExpect: 100-continue\r\n\r\n`);
  await client.received("\r\n\r\nok");
});
