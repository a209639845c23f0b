import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, test } from "vitest";
import { RawResponse } from "../../src/http/raw-response.ts";
import { Http2Response } from "../../src/listen/http2-response.ts";
import { NodeResponse } from "../../src/listen/node-response.ts";
import { Relay } from "../../src/stream/relay.ts";
import { BackendResponse } from "../../src/upstream/backend-response.ts";
import { Connection } from "../../src/upstream/connection.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { WaitingClient } from "../../src/websocket/waiting-client.ts";
import { metricsOf, startWithAdmin } from "../support/admin.ts";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { breaks, FAULT } from "../support/breaks.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openHttp2 } from "../support/http2-client.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream, type StreamRequest } from "../support/sse-client.ts";

// Callbacks of sockets, timers and peers run outside the request's promise: an error in one of them ended the process
// and all other streams.

const KIB = 1024;

async function start(stream: Readonly<Record<string, unknown>> = {}, listen: unknown = "127.0.0.1:0") {
  const backend = await startBackend();
  const upstream = backend.url;
  const gateway = await startWithAdmin({
    routes: {
      main: { match: { path: "/*" }, upstream, websocket: true, stream, limits: { streams: 2 } },
      other: { match: { path: "/other" }, upstream },
    },
    server: { listen },
  });
  return { backend, gateway };
}

async function openOne({ backend, gateway }: Awaited<ReturnType<typeof start>>, request: StreamRequest) {
  const client = openStream(gateway.port, { headers: { Accept: "text/event-stream" }, ...request });
  const asked = await backend.nextRequest();
  asked.openStream();
  await client.opened();
  return { client, asked };
}

/** Waits until the peer no longer reads a socket's data. */
async function heldBack(socket: Socket): Promise<void> {
  const left = async () => {
    const before = socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return before > 0 && socket.writableLength === before;
  };
  await eventually(left, "a backend that is held back");
}

/** Expects one log line with the stack, one count, and a free place for the next client. */
async function expectOneFault(gateway: GatewayFixture): Promise<void> {
  const isFault = (line: Readonly<Record<string, unknown>>) =>
    JSON.stringify(line).includes("internal_error") && JSON.stringify(line).includes(`${FAULT}\\n`);
  await eventually(() => gateway.log.filter(isFault).length === 1, "the line of the fault");
  expect((await metricsOf(gateway)).get("sluice_internal_errors_total")).toBe(1);
  expect(gateway.log.filter((line) => JSON.stringify(line).includes(FAULT)).length).toBe(1);
}

const POST = { method: "POST", body: "{}" };

test.each([
  ["a heartbeat", { heartbeat: "100ms" }, () => breaks(Relay.prototype, "beat")],
  ["the timer of maxDuration", { maxDuration: "1s" }, () => breaks(Relay.prototype, "endAtBoundary")],
  ["the timer of idleTimeout", { idleTimeout: "300ms" }, () => breaks(Relay.prototype, "abort")],
])("a fault in %s aborts that stream", async (_, stream, breakIt) => {
  for (const request of [{}, POST]) {
    const setup = await start(stream);
    const other = await openOne(setup, { path: "/other" });
    const { client, asked } = await openOne(setup, request);
    asked.emit("data: 1\n\n");
    await client.received("data: 1\n\n");
    breakIt();
    expect(await client.ended()).toBe("truncated");
    await asked.connection.closed;
    await expectOneFault(setup.gateway);
    other.asked.emit("data: on\n\n");
    await other.client.received("data: on");
  }
});

test.each([
  ["a plain GET", {}],
  ["a POST", POST],
])("a fault while the backend of %s aborts ends that stream", async (_, request) => {
  const setup = await start();
  const { client, asked } = await openOne(setup, request);
  breaks(Relay.prototype, "onError");
  asked.reset();
  expect(await client.ended()).toBe("truncated");
  await expectOneFault(setup.gateway);
});

test.each([
  ["a plain GET", {}],
  ["a POST", POST],
])("a fault while the client of %s leaves releases its place and its backend", async (_, request) => {
  const setup = await start();
  for (let round = 0; round < 3; round++) {
    const { client, asked } = await openOne(setup, request);
    if (round === 0) breaks(BackendResponse.prototype, "cancel");
    client.leave();
    await asked.connection.closed;
  }
  await expectOneFault(setup.gateway);
});

test.each([
  ["a plain GET", {}],
  ["a POST", POST],
])("a fault while the client of %s takes pending bytes ends that stream", async (_, request) => {
  const setup = await start({ clientBuffer: "64k" });
  const { client, asked } = await openOne(setup, request);
  client.socket.pause();
  for (let n = 0; n < 256; n++) asked.emit(`data: ${"x".repeat(128 * KIB)}\n\n`);
  await heldBack(asked.connection.socket);
  breaks(BackendResponse.prototype, "resume");
  client.socket.resume();
  await client.ended();
  await asked.connection.closed;
  await expectOneFault(setup.gateway);
});

test("a fault when a backend's connection is established is a 500", async () => {
  const setup = await start();
  breaks(Connection.prototype, "send");
  const client = openStream(setup.gateway.port);
  expect((await client.opened()).status).toBe(500);
  await eventually(() => setup.backend.openConnections === 0, "the end of the backend's connection");
  await expectOneFault(setup.gateway);
});

test.each([
  ["a plain GET", {}],
  ["a POST", POST],
])("a fault when the response head of %s comes is a 500", async (_, request) => {
  const setup = await start();
  breaks(Upstream.prototype, "succeeded");
  const client = openStream(setup.gateway.port, request);
  const asked = await setup.backend.nextRequest();
  asked.openStream();
  expect((await client.opened()).status).toBe(500);
  await asked.connection.closed;
  await expectOneFault(setup.gateway);
});

test("a fault while aborting a stream still closes its connection", async () => {
  const setup = await start();
  const { client, asked } = await openOne(setup, {});
  breaks(RawResponse.prototype, "breakOff");
  asked.reset();
  await client.ended();
  await expectOneFault(setup.gateway);
});

test("a fault while a request is read ends its connection", async () => {
  const setup = await start();
  breaks(NodeResponse.prototype, "usedBy");
  const client = openStream(setup.gateway.port, POST);
  await client.ended();
  await expectOneFault(setup.gateway);
});

test.each(["usedBy", "writeHead"] as const)("a fault in %s ends only one HTTP/2 stream", async (method) => {
  const tls = await certificateFiles();
  const { backend, gateway } = await start({}, { address: "127.0.0.1:0", tls });
  const client = await openHttp2(gateway.port);
  const other = client.request({ ":path": "/other" });
  const asked = await backend.nextRequest();
  asked.openStream();
  await other.opened();
  breaks(Http2Response.prototype, method);
  const broken = client.request();
  if (method === "writeHead") (await backend.nextRequest()).openStream();
  await broken.closed();
  await expectOneFault(gateway);
  if (method === "usedBy") return;
  asked.emit("data: on\n\n");
  await other.received("data: on");
});

test("a fault while a WebSocket opens aborts both of its connections", async () => {
  const { backend, gateway } = await start();
  const client = await openRaw(gateway.port);
  client.send(handshake("/ws"));
  const asked = await backend.nextRequest();
  breaks(WaitingClient.prototype, "release");
  asked.send(switching());
  await client.ended();
  await asked.connection.closed;
  await expectOneFault(gateway);
});

test("an aborted body is a reset for an HTTP/1.0 client over TLS, and a close on a unix socket", async () => {
  const tls = await certificateFiles();
  const path = `/tmp/sluice-fault-${process.pid}.sock`;
  const { backend, gateway } = await start({}, [{ address: "127.0.0.1:0", tls }, `unix:${path}`]);
  const secure = connectTls({ port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false });
  afterTest(() => void secure.destroy());
  let code: string | undefined;
  let text = "";
  secure.on("error", (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  secure.on("data", (bytes) => {
    text += String(bytes);
  });
  secure.write("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  const asked = await backend.nextRequest();
  asked.openStream();
  asked.emit("data: 1\n\n");
  await eventually(() => text.includes("data: 1\n\n"), "the event");
  asked.reset();
  await eventually(() => code === "ECONNRESET", "the reset");

  const local = await openRaw(path);
  local.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  const again = await backend.nextRequest();
  again.openStream();
  again.emit("data: 1\n\n");
  await local.received("data: 1\n\n");
  again.reset();
  await local.ended();
  await eventually(() => gateway.requestLines().length === 2, "both log lines");
  expect(gateway.requestLines().map(({ endReason }) => endReason)).toEqual([
    "backend_failed",
    "backend_failed",
  ]);
});
