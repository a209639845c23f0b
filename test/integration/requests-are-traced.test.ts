import { expect, test } from "vitest";
import { refusedPort, startBackend } from "../support/backend.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openHttp2 } from "../support/http2-client.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";
import { ask, emitToken, resumingRoute } from "../support/resume.ts";
import { event, QUICK, subscribe } from "../support/shared.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";
import { startTraced } from "../support/traced.ts";

test("a request has a span, and its attempt a child of it, with the attributes of the conventions", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "hello"));
  const { gateway, receiver, spansOf } = await startTraced({
    main: { match: { path: "/api/*" }, upstream: backend.url, rewrite: { stripPrefix: "/api" } },
  });
  const response = await fetch(`${gateway.url}/api/x?token=secret`, { headers: { cookie: "sid=secret" } });
  expect(await response.text()).toBe("hello");
  const { line, server, others } = await spansOf(0, 2);
  expect(server).toMatchObject({
    spanId: line["spanId"],
    parentSpanId: "",
    name: "GET /api/*",
    kind: "server",
    isError: false,
    attributes: {
      "http.request.method": "GET",
      "http.response.status_code": "200",
      "http.route": "/api/*",
      "url.path": "/api/x",
      "url.scheme": "http",
      "server.address": "127.0.0.1",
      "server.port": String(gateway.port),
      "client.address": "127.0.0.1",
      "network.peer.address": "127.0.0.1",
      "network.protocol.version": "1.1",
      "sluice.route": "main",
      "sluice.stage": "RELEASE",
      "sluice.request_id": line["reqId"],
      "sluice.end_reason": "completed",
      "sluice.bytes_sent": "5",
    },
    resource: { "service.name": "sluice" },
  });
  expect(others).toMatchObject([
    {
      parentSpanId: server.spanId,
      name: "GET",
      kind: "client",
      isError: false,
      attributes: {
        "http.request.method": "GET",
        "http.response.status_code": "200",
        "url.full": `${backend.url}/x`,
        "server.address": "127.0.0.1",
        "server.port": String(backend.port),
      },
    },
  ]);
  expect(JSON.stringify(receiver.spans)).not.toContain("secret");
  expect(receiver.faults).toEqual([]);
});

test("each attempt has a span, and the backend gets the context of its own", async () => {
  const backend = await startBackend((request) => request.respond(503));
  const refused = `http://127.0.0.1:${await refusedPort()}`;
  const { gateway, spansOf } = await startTraced({
    main: {
      match: { path: "/*" },
      upstream: { backends: [{ url: refused }, { url: backend.url, backup: true }], retries: 1 },
    },
  });
  expect((await fetch(gateway.url)).status).toBe(503);
  const { line, server, others } = await spansOf(0, 3);
  const [first, second] = others.toSorted((a, b) => a.startMs - b.startMs || a.endMs - b.endMs);
  expect(first).toMatchObject({ isError: true, attributes: { "error.type": "backend_connect_failed" } });
  expect(first?.attributes["http.request.resend_count"]).toBeUndefined();
  expect(second).toMatchObject({
    isError: true,
    attributes: {
      "error.type": "503",
      "http.response.status_code": "503",
      "http.request.resend_count": "1",
    },
  });
  expect(server).toMatchObject({ isError: true, attributes: { "error.type": "503" } });
  expect(backend.requests[0]?.fieldLines("traceparent")).toEqual([
    `00-${server.traceId}-${second?.spanId}-01`,
  ]);
  const failed = gateway.log.find(({ msg }) => msg === "attempt failed");
  expect(failed).toMatchObject({ traceId: line["traceId"], spanId: line["spanId"] });
});

test("every refusal has a span with its status and error code", async () => {
  const refused = `http://127.0.0.1:${await refusedPort()}`;
  const { gateway, receiver, spansOf } = await startTraced({
    down: { match: { path: "/down" }, upstream: refused },
    closed: { match: { path: "/closed" }, mock: { body: "x" }, auth: { appCode: true } },
    busy: { match: { path: "/busy" }, mock: { body: "x" }, limits: { rate: { requests: 1, per: "1h" } } },
  });
  const ask = (head: string) => rawRequest(gateway.port, `${head}\r\nHost: a\r\nConnection: close\r\n\r\n`);
  const heads = [
    "GET /nothing HTTP/1.1",
    "GET /closed HTTP/1.1",
    "GET /busy HTTP/1.1",
    "GET /busy HTTP/1.1",
    "GET /down HTTP/1.1",
    "GET /%zz HTTP/1.1",
    "CONNECT a:1 HTTP/1.1",
    "ODD /nothing HTTP/1.1",
    "GET /nothing HTTP/1.1\r\na b: c",
    "GET /nothing HTTP/1.1\r\nUpgrade: h2c",
    `GET /${"x".repeat(5_000)}?y HTTP/1.1`,
  ];
  const seen = [];
  for (const [at, head] of heads.entries()) {
    await ask(head);
    const { server } = await spansOf(at, 1);
    const { name, isError, attributes } = server;
    seen.push([
      name,
      attributes["http.response.status_code"],
      attributes["sluice.error_code"],
      isError ? attributes["error.type"] : "",
    ]);
  }
  expect(seen).toEqual([
    ["GET", "404", "no_route", ""],
    ["GET /closed", "401", "auth_failed", ""],
    ["GET /busy", "200", undefined, ""],
    ["GET /busy", "429", "rate_limited", ""],
    ["GET /down", "502", "backend_connect_failed", "backend_connect_failed"],
    ["GET", "400", "bad_request", ""],
    ["CONNECT", "405", "method_not_allowed", ""],
    ["HTTP", "404", "no_route", ""],
    ["HTTP", "400", "bad_request", ""],
    ["GET", "404", "no_route", ""],
    ["GET", "404", "no_route", ""],
  ]);
  const spans = receiver.spans.filter(({ kind }) => kind === "server");
  expect(spans).toHaveLength(heads.length);
  expect(spans.at(-1)?.attributes["url.path"]).toBe(`/${"x".repeat(1_023)}`);
});

test("a stream's span has the events of the stream, its end reason, and the ids of its log lines", async () => {
  const backend = await startBackend((request) => {
    request.openStream();
    request.emit("data: 1\n\n");
  });
  const { gateway, spansOf } = await startTraced({ main: { match: { path: "/*" }, upstream: backend.url } });
  const first = openStream(gateway.port, { headers: EVENT_SOURCE });
  await first.received("data: 1");
  first.leave();
  const one = await spansOf(0, 2);
  expect(one.server.events).toEqual(["stream opened", "first event"]);
  expect(one.server.attributes).toMatchObject({ "sluice.end_reason": "client_gone", "sluice.events": "1" });
  expect(one.server.isError).toBe(false);
  expect(gateway.log.find(({ msg }) => msg === "stream opened")).toMatchObject({
    traceId: one.server.traceId,
    spanId: one.server.spanId,
  });

  const second = openStream(gateway.port, { headers: { ...EVENT_SOURCE, "Last-Event-ID": "7" } });
  await second.received("data: 1");
  backend.requests[1]?.reset();
  const two = await spansOf(1, 2);
  expect(two.server.events).toEqual(["stream opened", "resumed", "first event"]);
  expect(two.server).toMatchObject({
    isError: true,
    attributes: { "sluice.end_reason": "backend_failed", "error.type": "backend_reset" },
  });
});

test("the backend connection of a shared stream has a span of its own, and the spans of its clients link to it", async () => {
  const backend = await startBackend((request) => {
    request.openStream();
    request.emit(event("1", "one"));
  });
  const { gateway, receiver, spansOf } = await startTraced({
    main: { match: { path: "/*" }, upstream: backend.url, shared: { ...QUICK, linger: "20ms" } },
  });
  const clients = [subscribe(gateway.port), subscribe(gateway.port)];
  for (const client of clients) await client.received("data: 1");
  backend.requests[0]?.reset();
  await backend.nextRequest();
  await backend.nextRequest();
  const connections = () => receiver.spans.filter(({ name }) => name === "shared stream");
  await eventually(() => connections().length === 1, "the span of the first connection");
  for (const client of clients) client.leave();
  const spans = [await spansOf(0, 1), await spansOf(1, 1)].map(({ server }) => server);
  await eventually(() => connections().length === 2, "the span of the second connection");
  const [first, second] = connections();
  expect(first).toMatchObject({ kind: "internal", events: ["stream opened"], parentSpanId: "" });
  expect(second?.events).toEqual(["stream opened", "resumed"]);
  const attempts = receiver.spans.filter(({ kind }) => kind === "client");
  expect(attempts.map(({ parentSpanId }) => parentSpanId)).toEqual([first?.spanId, second?.spanId]);
  expect(backend.requests.map((request) => request.field("traceparent"))).toEqual(
    attempts.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`),
  );
  for (const span of spans) {
    expect(span.links).toEqual([{ traceId: second?.traceId, spanId: second?.spanId }]);
    expect(span.events).toEqual(["stream opened", "first event"]);
  }
  expect(spans.map(({ spanId }) => spanId)).toContain(first?.links[0]?.spanId);
});

test("the span of a shared stream that its backend refuses is an error", async () => {
  const upstream = `http://127.0.0.1:${await refusedPort()}`;
  const { gateway, receiver } = await startTraced({
    main: { match: { path: "/*" }, upstream, shared: QUICK },
  });
  expect((await fetch(gateway.url, { headers: EVENT_SOURCE })).status).toBe(502);
  const found = () => receiver.spans.find(({ name }) => name === "shared stream");
  await eventually(found, "the span of the connection");
  expect(found()).toMatchObject({
    isError: true,
    attributes: { "error.type": "backend_connect_failed" },
    events: [],
  });
});

test("the attempt of a named answer is in the trace of the client that asked first", async () => {
  const backend = await startBackend((request) => request.openStream());
  const { gateway, spansOf } = await startTraced({ main: resumingRoute(backend.url, {}) });
  const first = ask(gateway.port);
  await first.opened();
  emitToken(backend.requests[0], "one");
  await first.received("one");
  const second = ask(gateway.port);
  await second.received("one");
  backend.requests[0]?.endStream();
  const { server, others } = await spansOf(0, 1);
  const other = await spansOf(1, 1);
  const attempts = [...others, ...other.others];
  expect(attempts).toMatchObject([{ kind: "client" }]);
  expect([server.spanId, other.server.spanId]).toContain(attempts[0]?.parentSpanId);
  expect(backend.requests).toHaveLength(1);
  expect(backend.requests[0]?.field("traceparent")).toContain(attempts[0]?.spanId);
});

test("a WebSocket has a span until its tunnel ends, and its backend gets the context", async () => {
  const backend = await startBackend((request) => request.send(switching()));
  const { gateway, spansOf } = await startTraced({
    main: { match: { path: "/*" }, upstream: backend.url, websocket: true },
  });
  const client = await openRaw(gateway.port);
  client.send(handshake("/ws"));
  await client.received("101");
  const request = await backend.nextRequest();
  client.socket.destroy();
  const { server, others } = await spansOf(0, 2);
  expect(server).toMatchObject({
    name: "GET /*",
    attributes: { "http.response.status_code": "499", "sluice.end_reason": "client_gone" },
  });
  expect(others).toMatchObject([{ attributes: { "http.response.status_code": "101" }, isError: false }]);
  expect(request.fieldLines("traceparent")).toEqual([`00-${server.traceId}-${others[0]?.spanId}-01`]);
});

test("requests by HTTP/2 and mocks have spans", async () => {
  const listen = { address: "127.0.0.1:0", tls: await certificateFiles() };
  const { gateway, spansOf } = await startTraced(
    { main: { match: { path: "/*" }, mock: { body: "x" } } },
    { listen },
  );
  const client = await openHttp2(gateway.port);
  await client.request({ ":path": "/a?b" }).closed();
  const { server, others } = await spansOf(0, 1);
  expect(others).toEqual([]);
  expect(server.attributes).toMatchObject({
    "network.protocol.version": "2",
    "url.scheme": "https",
    "url.path": "/a",
    "http.response.status_code": "200",
  });
});
