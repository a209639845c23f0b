import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
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

for (const type of [
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/json-seq",
  "application/stream+json; charset=utf-8",
  "multipart/x-mixed-replace; boundary=frame",
  'multipart/mixed; boundary="-"',
  "application/grpc-web+proto",
  "application/grpc-web-text",
  "application/connect+json",
  "application/vnd.amazon.eventstream",
  "text/x-component",
]) {
  test(`${type} of unknown length is a stream without comment lines, and otherwise unchanged`, async () => {
    const { client, request, gateway } = await openRelay({
      route: { stream: { heartbeat: "30ms" } },
      fields: { "Content-Type": type, "Cache-Control": "max-age=60" },
    });
    request.emit("1\n");
    await client.received("1\n");
    await eventually(() => gateway.log.some(({ msg }) => msg === "stream opened"), "the log line");
    await delay(100);
    request.emit("2\n");
    request.endStream({ "X-Sum": "3" });
    expect(await client.ended()).toBe("clean");
    expect(client.text).toBe("1\n2\n");
    expect(client.fieldLines("x-accel-buffering")).toEqual(["no"]);
    expect(client.fieldLines("cache-control")).toEqual(["max-age=60"]);
    expect(client.trailers).toContain("X-Sum: 3");
  });
}

// tRPC's server sends chunks also to HTTP/1.0, which nginx 1.22 forwards at once; behind sluice it held them all.
test.each([
  ["application/jsonl", ["no"]],
  ["application/json", []],
])("application/json is a stream if tRPC asked for JSON lines: %s", async (asked, buffering) => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { headers: { "trpc-accept": asked } });
  const request = await backend.nextRequest();
  request.openStream({ "Content-Type": "application/json" });
  request.emit("[0]\n");
  await client.received("[0]\n");
  expect(client.fieldLines("x-accel-buffering")).toEqual(buffering);
  expect(client.field("content-type")).toBe("application/json");
});

test("a response of a streamed type with a Content-Length is no stream, whatever the method", async () => {
  const backend = await startBackend((request) =>
    request.respond(
      200,
      { "Content-Type": "application/x-ndjson" },
      request.method === "HEAD" ? "" : "1\n2\n",
    ),
  );
  const gateway = await startGatewayTo(backend.url, { stream: { contentTypes: ["*"] } });
  for (const method of ["GET", "POST", "HEAD"]) {
    const client = openStream(gateway.port, { method });
    expect(await client.ended()).toBe("clean");
    expect(client.field("content-length"), method).toBe(method === "HEAD" ? "0" : "4");
    expect(client.field("x-accel-buffering"), method).toBeUndefined();
  }
});

test.each([
  ["HEAD", 200],
  ["GET", 204],
  ["GET", 304],
])("a response of a streamed type without a body leaves no stream open: %s, %d", async (method, status) => {
  const backend = await startBackend((request) =>
    request.send(`HTTP/1.1 ${status} X\r\nContent-Type: application/x-ndjson\r\n\r\n`),
  );
  const gateway = await startGatewayTo(backend.url, { limits: { streams: 1 } });
  for (let round = 0; round < 3; round++) {
    const client = openStream(gateway.port, { method });
    expect((await client.opened()).status).toBe(status);
    client.leave();
  }
  expect((await gateway.requestLine())["endReason"]).toBe("completed");
});

test("contentTypes: * makes every response of unknown length a stream", async () => {
  const { client, request } = await openRelay({
    route: { stream: { contentTypes: ["*"], idleTimeout: "300ms" } },
    fields: { "Content-Type": "text/html" },
  });
  request.emit("<p>shell");
  await client.received("<p>shell");
  expect(client.fieldLines("x-accel-buffering")).toEqual(["no"]);
  expect(client.text).toBe("<p>shell");
  expect(await client.ended()).toBe("truncated");
});

test("contentTypes replaces the default list", async () => {
  const { client, request } = await openRelay({
    route: { stream: { contentTypes: ["text/event-stream"] } },
    fields: { "Content-Type": "application/x-ndjson" },
  });
  request.emit("1\n");
  await client.received("1\n");
  expect(client.field("x-accel-buffering")).toBeUndefined();
});

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
