import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { openStream } from "../support/sse-client.ts";

for (const [name, headers] of [
  ["without keep-alive", {}],
  ["with keep-alive", { Connection: "keep-alive" }],
] as const) {
  test(`a stream to an HTTP/1.0 client ${name} ends with the connection`, async () => {
    const { client, request } = await openRelay({
      request: { version: "1.0", headers },
      route: { stream: { heartbeat: "30ms" } },
    });
    expect(client.field("transfer-encoding")).toBeUndefined();
    expect(client.field("content-length")).toBeUndefined();
    expect(client.field("connection")?.toLowerCase()).not.toBe("keep-alive");
    request.emit("data: 1\n\n");
    await client.received("data: 1\n\n:\n");
    request.endStream();
    expect(await client.ended()).toBe("closed");
  });

  test(`an aborted stream is reset for an HTTP/1.0 client ${name}`, async () => {
    // Without framing a plain close would look like a complete body.
    const { client, request } = await openRelay({ request: { version: "1.0", headers } });
    request.emit("data: ha");
    await client.received("data: ha");
    request.reset();
    expect(await client.ended()).toBe("reset");
  });

  test(`an aborted ordinary chunked response is reset for an HTTP/1.0 client ${name}`, async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port, { version: "1.0", headers });
    const request = await backend.nextRequest();
    request.openStream({ "Content-Type": "text/plain" });
    request.emit("half");
    await client.received("half");
    request.halfClose();
    expect(await client.ended()).toBe("reset");
  });
}

test("an HTTP/1.0 client with keep-alive keeps its connection after a body with a length", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { version: "1.0", headers: { Connection: "keep-alive" } });
  expect(await client.ended()).toBe("clean");
  expect(client.text).toBe("ok");
  expect(client.field("connection")?.toLowerCase()).toBe("keep-alive");
  expect(client.socket.readyState).toBe("open");
});

test("the backend gets HTTP/1.1 for any version of the client", async () => {
  const { request } = await openRelay({ request: { version: "1.0" } });
  expect(request.head.version).toBe("HTTP/1.1");
});
