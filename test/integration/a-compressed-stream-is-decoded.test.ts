import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { CODINGS, COMPRESSORS, compressedParts, FlushingCompressor } from "../support/compressed.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { dataOf, event, idsOf, startSharing, subscribe } from "../support/shared.ts";
import { openStream, type StreamRequest } from "../support/sse-client.ts";

/** The request of an LLM's SDK: it does not say that it asks for a stream, and accepts compression. */
const ASK: StreamRequest = {
  method: "POST",
  headers: { Accept: "application/json", "Accept-Encoding": "gzip, deflate, br, zstd" },
  body: "{}",
};

interface Setup {
  readonly coding?: string;
  readonly type?: string;
  readonly fields?: Readonly<Record<string, string | readonly string[]>>;
  readonly route?: Readonly<Record<string, unknown>>;
  readonly server?: Readonly<Record<string, unknown>>;
  readonly request?: StreamRequest;
}

/** A client, the gateway, and a backend that compresses its stream and flushes each event. */
async function openCompressed({
  coding = "gzip",
  type = "text/event-stream",
  fields,
  route,
  server,
  request: asked = ASK,
}: Setup = {}) {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, route, server);
  const client = openStream(gateway.port, { path: "/v1/chat", ...asked });
  const request = await backend.nextRequest();
  request.openStream({ "Content-Type": type, "Content-Encoding": coding, ...fields });
  return { backend, gateway, client, request, ...compressing(coding, request) };
}

function compressing(coding: string, request: BackendRequest) {
  const create = COMPRESSORS[coding] as (typeof COMPRESSORS)[string];
  const compressor = new FlushingCompressor(create());
  return {
    send: async (text: string) => request.emit(await compressor.write(text)),
    finish: async (trailers: Record<string, string> = {}) => {
      request.emit(await compressor.end());
      request.endStream(trailers);
    },
  };
}

for (const coding of CODINGS) {
  describe(coding, () => {
    for (const version of ["1.0", "1.1"] as const) {
      test(`each event reaches an HTTP/${version} client before the next one is sent`, async () => {
        const { client, send, finish } = await openCompressed({ coding, request: { ...ASK, version } });
        for (const data of ["one", "two", "x".repeat(100_000), "four"]) {
          await send(event(data));
          await eventually(() => client.text.endsWith(event(data)), "the event");
        }
        await finish();
        expect(await client.ended()).toBe(version === "1.1" ? "clean" : "closed");
        expect(client.field("content-encoding")).toBeUndefined();
      });
    }

    test("each event reaches an HTTP/2 client before the next one is sent", async () => {
      const backend = await startBackend();
      const gateway = await startSecureGatewayTo(backend.url);
      const client = await openHttp2(gateway.port);
      const exchange = client.request({ accept: "*/*", "accept-encoding": "gzip" });
      const request = await backend.nextRequest();
      request.openStream({ "Content-Encoding": coding });
      const { send, finish } = compressing(coding, request);
      for (const data of ["one", "two", "three"]) {
        await send(event(data));
        await exchange.received(event(data));
      }
      await finish({ "X-Sum": "1" });
      expect(await exchange.closed()).toBe(0);
      expect(exchange.headers?.["content-encoding"]).toBeUndefined();
      expect(exchange.trailers?.["x-sum"]).toBe("1");
    });

    test("heartbeats come between its events", async () => {
      const route = { stream: { heartbeat: "20ms" } };
      const { client, send, finish } = await openCompressed({ coding, route });
      await client.received(":\n:\n");
      await send("data: half");
      await client.received("data: half");
      await delay(100);
      await send(" and half\n\n");
      await client.received("data: half and half\n\n:\n");
      await finish();
      expect(await client.ended()).toBe("clean");
    });

    test("a body that ends early is aborted behind what was flushed", async () => {
      const { client, request, send, gateway } = await openCompressed({ coding });
      await send(event("one"));
      request.endStream();
      expect(await client.ended()).toBe("truncated");
      expect(client.text).toContain(event("one"));
      const line = await gateway.requestLine();
      expect(line).toMatchObject({
        endReason: "backend_failed",
        events: 1,
        err: { code: "backend_protocol_error" },
      });
    });

    test("a body that is not encoded so is aborted", async () => {
      const { client, request, gateway } = await openCompressed({ coding });
      request.emit(event("plain"));
      expect(await client.ended()).toBe("truncated");
      expect(await gateway.requestLine()).toMatchObject({ endReason: "backend_failed" });
      await eventually(() => request.connection.closedBy, "the cancellation at the backend");
    });

    test("a break of the backend is a break, behind what had arrived", async () => {
      const { client, request, send } = await openCompressed({ coding });
      await send(event("one"));
      await client.received(event("one"));
      request.reset();
      expect(await client.ended()).toBe("truncated");
    });

    test("a shared stream is decoded once, for all its clients", async () => {
      const backend = await startBackend();
      const { port } = await startSharing(backend.url, { by: ["path"] });
      const clients = [subscribe(port), subscribe(port)];
      const request = await backend.nextRequest();
      request.openStream({ "Content-Encoding": coding });
      const { send } = compressing(coding, request);
      await send(event("one", "1"));
      await send(event("two", "2"));
      for (const client of clients) await client.received(event("two", "2"));
      const late = subscribe(port, "/news", "1");
      await late.received(event("two", "2"));
      expect(dataOf(late)).toEqual(["two"]);
      expect(late.field("content-encoding")).toBeUndefined();
      expect(backend.requests).toHaveLength(1);
    });

    test("a shared stream that ends early is asked for again from the last whole event", async () => {
      const backend = await startBackend();
      const { port } = await startSharing(backend.url);
      const client = subscribe(port);
      const first = await backend.nextRequest();
      first.openStream({ "Content-Encoding": coding });
      const one = compressing(coding, first);
      await one.send(event("one", "1"));
      await one.send("id: 2\ndata: ha");
      first.endStream();
      const second = await backend.nextRequest();
      expect(second.field("last-event-id")).toBe("1");
      second.openStream({ "Content-Encoding": coding });
      await compressing(coding, second).send(event("two", "2"));
      await client.received(event("two", "2"));
      expect(idsOf(client)).toEqual(["1", "2"]);
      expect(dataOf(client)).toEqual(["one", "two"]);
    });
  });
}

test("the head is that of the decoded stream", async () => {
  const { client, finish } = await openCompressed({
    fields: {
      ETag: '"abc"',
      Vary: "Accept-Encoding, X-Other",
      "Content-Digest": "sha-256=:AAAA:",
      "Repr-Digest": "sha-256=:AAAA:",
      Trailer: "X-Sum",
    },
  });
  await finish({ "X-Sum": "1" });
  expect(await client.ended()).toBe("clean");
  for (const name of ["content-encoding", "content-length", "content-digest", "repr-digest"])
    expect(client.field(name)).toBeUndefined();
  expect(client.field("etag")).toBe('W/"abc"');
  expect(client.fieldLines("vary")).toEqual(["Accept-Encoding, X-Other"]);
  expect(client.trailers.trim()).toBe("X-Sum: 1");
});

test("the log names the coding that was decoded, and none of a stream that passes compressed", async () => {
  for (const [type, decoded] of [
    ["text/event-stream", "gzip"],
    ["application/x-ndjson", undefined],
  ] as const) {
    const { client, finish, gateway } = await openCompressed({ type });
    await finish();
    await client.ended();
    expect((await gateway.requestLine())["decoded"]).toBe(decoded);
    expect(gateway.log.find(({ msg }) => msg === "stream opened")?.["decoded"]).toBe(decoded);
  }
});

test("an event stream with a length is decoded too", async () => {
  const backend = await startBackend((request) =>
    request.respond(
      200,
      { "Content-Type": "text/event-stream", "Content-Encoding": "x-gzip", ETag: 'W/"1"' },
      gzipSync(event("one")),
    ),
  );
  const client = openStream((await startGatewayTo(backend.url)).port, ASK);
  expect(await client.ended()).toBe("clean");
  expect(client.text).toContain(event("one"));
  expect(client.field("content-length")).toBeUndefined();
  expect(client.field("etag")).toBe('W/"1"');
});

test("a drain ends it between two events for a client that reconnects", async () => {
  const request = { path: "/stream", headers: { Accept: "text/event-stream" } };
  const { client, gateway, send } = await openCompressed({
    request,
    server: { drain: { timeout: "100ms" } },
  });
  await send(event("one"));
  await client.received(event("one"));
  await gateway.drain();
  expect(await client.ended()).toBe("clean");
});

describe("another stream, such as NDJSON,", () => {
  const type = "application/x-ndjson";

  test("passes compressed to a client that accepts its coding", async () => {
    const { client, request } = await openCompressed({ type });
    const [part = Buffer.alloc(0), end = Buffer.alloc(0)] = await compressedParts("gzip", ['{"a":1}\n']);
    request.emit(part);
    await eventually(() => client.body.equals(part), "the compressed part");
    request.emit(end);
    request.endStream();
    expect(await client.ended()).toBe("clean");
    expect(client.field("content-encoding")).toBe("gzip");
    expect(client.body.equals(Buffer.concat([part, end]))).toBe(true);
  });

  test.each([
    ["no Accept-Encoding, which accepts all", undefined, {}],
    ["a client that accepts any", "*", {}],
    ["no-transform", "br", { "Cache-Control": "no-transform" }],
  ])("passes as it is: %s", async (_, accepted, fields) => {
    const headers = { Accept: "*/*", ...(accepted !== undefined && { "Accept-Encoding": accepted }) };
    const { client, finish } = await openCompressed({ type, fields, request: { headers } });
    await finish();
    expect(await client.ended()).toBe("clean");
    expect(client.field("content-encoding")).toBe("gzip");
  });

  test.each(["identity", "br", "gzip;q=0, *", "br, *;q=0.0", ""])(
    "is decoded for a client that does not accept its coding: %j",
    async (accepted) => {
      const request = { headers: { "Accept-Encoding": accepted } };
      const { client, send, finish } = await openCompressed({ type, request });
      await send('{"a":1}\n');
      await eventually(() => client.text === '{"a":1}\n', "the line");
      await finish();
      expect(await client.ended()).toBe("clean");
      expect(client.field("content-encoding")).toBeUndefined();
    },
  );
});

test("a part of a stream (206) passes as it is", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { headers: { Range: "bytes=5-" } });
  const request = await backend.nextRequest();
  const body = gzipSync(event("one")).subarray(5);
  request.openStream({ "Content-Encoding": "gzip", "Content-Range": "bytes 5-30/31" }, 206);
  request.emit(body);
  request.endStream();
  expect(await client.ended()).toBe("clean");
  expect(client.field("content-encoding")).toBe("gzip");
  expect(client.body.equals(body)).toBe(true);
});

test.each([
  ["HEAD", 200],
  ["GET", 204],
])("%s with status %i keeps the fields of the backend", async (method, status) => {
  const backend = await startBackend((request) =>
    request.send(
      `HTTP/1.1 ${status} OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nETag: "1"\r\n\r\n`,
    ),
  );
  const client = openStream((await startGatewayTo(backend.url)).port, { ...ASK, method });
  await client.ended();
  expect(client.field("content-encoding")).toBe("gzip");
  expect(client.field("etag")).toBe('"1"');
});

test("with onClientGone: drain, its backend may finish after its client has left", async () => {
  const { client, request, gateway, send, finish } = await openCompressed({
    route: { stream: { onClientGone: "drain" } },
  });
  await send(event("one"));
  await client.received(event("one"));
  client.leave();
  await gateway.requestLine();
  for (let left = 20; left > 0; left--) await send(event("x".repeat(100_000)));
  await finish();
  const next = openStream(gateway.port, ASK);
  await eventually(() => request.connection.requests.length === 2, "the next request on this connection");
  request.connection.requests[1]?.respond();
  await next.ended();
});
