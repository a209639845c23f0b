import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { openStream } from "../support/sse-client.ts";

for (const type of [
  "text/event-stream",
  "text/event-stream; charset=utf-8",
  "Text/Event-Stream ;charset=UTF-8",
  'text/event-stream;charset="utf-8";x=y',
]) {
  test(`${type} is a stream`, async () => {
    const { client } = await openRelay({ fields: { "Content-Type": type } });
    await client.received(":\n");
    expect(client.field("x-accel-buffering")).toBe("no");
    expect(client.field("content-type")).toBe(type);
  });
}

for (const type of ["text/event-streams", "text/plain", "application/json; x=text/event-stream", undefined]) {
  test(`${type ?? "no media type"} is not a stream`, async () => {
    const backend = await startBackend((request) =>
      request.respond(200, type === undefined ? {} : { "Content-Type": type }, "data: 1\n\n"),
    );
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port);
    expect(await client.ended()).toBe("clean");
    expect(client.text).toBe("data: 1\n\n");
    expect(client.field("x-accel-buffering")).toBeUndefined();
    expect(client.field("content-length")).toBe("9");
  });
}

for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "QUERY"]) {
  test(`a stream in response to ${method} is relayed, and the request's body arrives completely`, async () => {
    const { client, request } = await openRelay({ request: { method, body: '{"stream":true}' } });
    expect(request.method).toBe(method);
    expect((await request.wholeBody()).toString()).toBe('{"stream":true}');
    request.emit("data: 1\n\n");
    await client.received("data: 1\n\n");
  });
}

for (const status of [201, 400, 429, 500]) {
  test(`a stream with status ${status} is relayed with that status`, async () => {
    const backend = await startBackend((request) => {
      request.openStream({}, status);
      request.emit("data: 1\n\n");
    });
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port);
    await client.received("data: 1\n\n");
    expect(client.head?.status).toBe(status);
    expect(client.field("x-accel-buffering")).toBe("no");
  });
}

test("204 ends a stream for good and is forwarded, with or without a media type", async () => {
  const backend = await startBackend((request) =>
    request.send("HTTP/1.1 204 No Content\r\nContent-Type: text/event-stream\r\n\r\n"),
  );
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port);
  expect((await client.opened()).status).toBe(204);
  expect(client.body.length).toBe(0);
  expect((await gateway.requestLine())["status"]).toBe(204);
});
