import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { connect as connectTls } from "node:tls";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import type { BackendConnection } from "../support/backend.ts";
import { startBackend } from "../support/backend.ts";
import { startBlackHole } from "../support/black-hole.ts";
import { certificateFiles } from "../support/certificate-files.ts";
import { eventually, SOON_MS } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { openStream } from "../support/sse-client.ts";

async function expectCancelled(connection: BackendConnection, gateway: GatewayFixture, since: number) {
  expect((await connection.closed) - since).toBeLessThan(SOON_MS);
  // The gateway closed it, not the fixture's clean-up.
  expect(connection.closedBy).toBeDefined();
  expect(await gateway.requestLine()).toMatchObject({ status: 499, endReason: "client_gone" });
}

for (const how of ["leave", "reset"] as const) {
  test(`during a stream (${how})`, async () => {
    const { client, request, gateway } = await openRelay();
    request.emit("data: 1\n\ndata: ha");
    await client.received("data: ha");
    const since = performance.now();
    client[how]();
    await expectCancelled(request.connection, gateway, since);
  });

  test(`while the stream is silent (${how})`, async () => {
    const { client, request, gateway } = await openRelay({ route: { stream: { heartbeat: "off" } } });
    const since = performance.now();
    client[how]();
    await expectCancelled(request.connection, gateway, since);
  });

  test(`before the backend's response (${how})`, async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port);
    const { connection } = await backend.nextRequest();
    const since = performance.now();
    client[how]();
    await expectCancelled(connection, gateway, since);
  });

  test(`during an ordinary download (${how})`, async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port);
    const request = await backend.nextRequest();
    request.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nhalf");
    await client.received("half");
    const since = performance.now();
    client[how]();
    await expectCancelled(request.connection, gateway, since);
  });

  test(`during its own upload (${how})`, async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url);
    const client = openStream(gateway.port, { method: "POST", headers: { "Content-Length": "1000" } });
    client.socket.write("half");
    const request = await backend.nextRequest();
    await eventually(() => request.body.toString() === "half", "the first half");
    const since = performance.now();
    client[how]();
    await expectCancelled(request.connection, gateway, since);
  });
}

test("during the response to a POST with Expect: 100-continue", async () => {
  // A proxy that waits for `aborted` on the request never notices this disconnect.
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, {
    method: "POST",
    headers: { Expect: "100-continue", "Content-Length": "2" },
  });
  client.socket.write("{}");
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  const since = performance.now();
  client.leave();
  await expectCancelled(request.connection, gateway, since);
});

test("while the gateway connects to the backend", async () => {
  const hole = await startBlackHole();
  const gateway = await startGatewayTo(hole.url);
  const client = openStream(gateway.port);
  await eventually(() => client.socket.bytesWritten > 0, "the request's departure");
  // The gateway dials when it has read the request; a second request proves that it has.
  const probe = openStream(gateway.port, { path: "/%zz" });
  await probe.opened();
  client.leave();
  const line = await eventually(() =>
    gateway.requestLines().find(({ endReason }) => endReason === "client_gone"),
  );
  expect(line).toMatchObject({ status: 499 });
  expect(line?.["durationMs"]).toBeLessThan(SOON_MS);
});

test("a request whose client disconnects at once leaves no backend connection open", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  for (let n = 0; n < 50; n++) {
    const client = openStream(gateway.port, { path: `/stream/${n}` });
    await eventually(() => !client.socket.connecting, "a connection", { everyMs: 1 });
    client.leave();
  }
  await eventually(() => gateway.requestLines().length >= backend.requests.length, "the log lines");
  await eventually(() => backend.openConnections === 0, "the close of all backend connections");
});

/** Sends a request with the end of its TLS handshake, and resets the connection before it has read anything more. */
function requestAndReset(port: number, path: string): void {
  const below = connect(port, "127.0.0.1");
  const client = connectTls({ socket: below, rejectUnauthorized: false });
  afterTest(() => void below.destroy());
  for (const socket of [below, client]) socket.on("error", () => {});
  client.once("secureConnect", () => {
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    below.resetAndDestroy();
  });
}

test("with the end of its TLS handshake: Node reports no reset and lets no write end", async () => {
  const backend = await startBackend();
  // Without the timeouts that would end the requests in the end.
  const unbounded = { limits: { halfCloseTimeout: "off" }, stream: { sendTimeout: "off" } };
  const gateway = await startGateway({
    routes: {
      silent: { match: { path: "/silent" }, upstream: backend.url, ...unbounded },
      mock: {
        match: { path: "/mock" },
        mock: { events: [{ data: "1", after: "20ms" }], repeat: true },
        ...unbounded,
      },
    },
    server: { listen: { address: "127.0.0.1:0", tls: await certificateFiles() } },
  });
  for (const path of ["/silent", "/mock"]) requestAndReset(gateway.port, path);
  await eventually(() => gateway.requestLines().length === 2, "the ends of both requests");
  for (const line of gateway.requestLines()) expect(line).toMatchObject({ endReason: "client_gone" });
  await eventually(() => backend.openConnections === 0, "the end of the backend's request");
});
