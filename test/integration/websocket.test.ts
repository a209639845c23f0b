import { createHash, randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { certificate } from "../support/certificate.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway, startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openRaw } from "../support/raw-client.ts";

/** Starts a WebSocket echo server on TCP, TLS or a unix socket. */
async function startEcho(where: "tcp" | "tls" | "unix" = "tcp") {
  const http = where === "tls" ? createHttpsServer(certificate) : createHttpServer();
  const server = new WebSocketServer({ server: http, maxPayload: 2 ** 26 });
  server.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const path = join(tmpdir(), `sluice-${randomBytes(6).toString("hex")}.sock`);
  await new Promise<void>((resolve) => {
    if (where === "unix") http.listen(path, resolve);
    else http.listen(0, "127.0.0.1", resolve);
  });
  afterTest(async () => {
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => http.close(resolve));
  });
  if (where === "unix") return { server, url: `unix:${path}` };
  const { port } = http.address() as AddressInfo;
  return { server, url: `${where === "tls" ? "https" : "http"}://127.0.0.1:${port}` };
}

async function connect(gateway: GatewayFixture, options: { origin?: string; path?: string } = {}) {
  const { path = "/", ...rest } = options;
  const socket = new WebSocket(`ws://${gateway.host}${path}`, rest);
  const messages: Buffer[] = [];
  const state = { messages, status: 0, closeCode: 0 };
  socket.on("message", (data) => messages.push(data as Buffer));
  socket.on("error", () => {});
  socket.on("close", (code) => {
    state.closeCode = code;
  });
  socket.on("unexpected-response", (_request, response) => {
    state.status = response.statusCode ?? 0;
    socket.terminate();
  });
  afterTest(() => socket.terminate());
  await eventually(() => socket.readyState !== WebSocket.CONNECTING || state.status > 0, "an answer");
  return { socket, state };
}

test.each(["tcp", "unix"] as const)("messages are echoed over %s", async (where) => {
  const echo = await startEcho(where);
  const gateway = await startGatewayTo(echo.url, { websocket: true });
  const { socket, state } = await connect(gateway, { path: "/room?u=1" });
  socket.send("hello");
  socket.send(Buffer.from([0, 255, 128]));
  await eventually(() => state.messages.length === 2, "both echoes");
  expect(state.messages.map((message) => message.toString("hex"))).toEqual(["68656c6c6f", "00ff80"]);
  socket.close(1000);
  await eventually(() => state.closeCode === 1000, "the closing handshake");
  expect(await gateway.requestLine()).toMatchObject({ status: 101, path: "/room", endReason: "completed" });
});

test("a WebSocket works over TLS if the backend's certificate is trusted, and otherwise gets 502", async () => {
  const echo = await startEcho("tls");
  const strict = await startGatewayTo(echo.url, { websocket: true });
  expect((await connect(strict)).state.status).toBe(502);

  const ca = join(tmpdir(), `sluice-${randomBytes(6).toString("hex")}.pem`);
  writeFileSync(ca, certificate.cert);
  afterTest(() => rmSync(ca));
  const upstream = { backends: [{ url: echo.url }], tls: { ca } };
  const gateway = await startGatewayTo("", { upstream, websocket: true });
  const { socket, state } = await connect(gateway);
  socket.send("hello");
  await eventually(() => state.messages.length === 1, "the echo");
});

test("messages of many megabytes arrive complete in both directions", async () => {
  const echo = await startEcho();
  const gateway = await startGatewayTo(echo.url, { websocket: true });
  const { socket, state } = await connect(gateway);
  const big = randomBytes(20 * 2 ** 20);
  socket.send(big);
  await eventually(() => state.messages.length === 1, "the echo", { timeoutMs: 20_000 });
  const digest = (data: Buffer | undefined) =>
    createHash("sha256")
      .update(data ?? "")
      .digest("hex");
  expect(digest(state.messages[0])).toBe(digest(big));
  socket.terminate();
  expect((await gateway.requestLine())["bytesSent"]).toBeGreaterThan(big.length);
});

test("a client that does not read puts back-pressure on the backend", async () => {
  const backend = await startBackend((request) => request.send(switching()));
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const client = await openRaw(gateway.port);
  client.send(handshake());
  const { connection } = await backend.nextRequest();
  await client.received("101");
  client.socket.pause();
  const piece = Buffer.alloc(1 << 20);
  // Kernel buffers hold some megabytes; a tunnel without back-pressure would read everything.
  for (let count = 0; count < 64; count++) connection.socket.write(piece);
  let before = -1;
  await eventually(
    () => {
      const now = connection.socket.writableLength;
      const isStill = now === before;
      before = now;
      return isStill;
    },
    "back-pressure at the backend",
    { everyMs: 200 },
  );
  expect(connection.socket.writableLength).toBeGreaterThan(32 << 20);
  client.socket.resume();
  await eventually(() => client.arrivals.reduce((sum, { bytes }) => sum + bytes.length, 0) > 64 << 20, "all");
});

test("bytes that come with the handshake and before the 101 reach the backend, in order", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const client = await openRaw(gateway.port);
  client.send(`${handshake()}one `);
  const { connection, send } = await backend.nextRequest().then((request) => ({
    connection: request.connection,
    send: (bytes: string) => request.send(bytes),
  }));
  client.send("two ");
  expect(connection.received.toString()).not.toContain("one");
  // Bytes directly after the 101 belong to the client.
  send(`${switching()}first `);
  await client.received("first ");
  client.send("three");
  await eventually(() => connection.received.toString().endsWith("\r\n\r\none two three"), "all in order");
});

test("the handshake is forwarded as sent, without the fields for the gateway", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const client = await openRaw(gateway.port);
  const fields = {
    Connection: "keep-alive, Upgrade, X-Hop",
    "X-Hop": "1",
    "Sec-WebSocket-Protocol": "chat, superchat",
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
    Cookie: "a=\xe9",
    "Keep-Alive": "timeout=5",
    TE: "trailers",
    Expect: "100-continue",
  };
  client.send(handshake("/chat", fields));
  const request = await backend.nextRequest();
  expect(request.head.raw.toString("latin1")).toMatch(/^GET \/chat HTTP\/1\.1\r\n/);
  const names = request.head.fields.map(([name]) => name);
  expect(names.filter((name) => /^(x-hop|keep-alive|te|expect|content-length)$/i.test(name))).toEqual([]);
  expect(request.fieldLines("connection")).toEqual(["Upgrade"]);
  expect(request.fieldLines("upgrade")).toEqual(["websocket"]);
  expect(request.fieldLines("host")).toEqual(["sluice.test"]);
  expect(request.fieldLines("sec-websocket-protocol")).toEqual(["chat, superchat"]);
  expect(request.fieldLines("cookie")).toEqual(["a=\xe9"]);
  expect(names).toContain("Sec-WebSocket-Key");

  request.send(
    switching({ "Set-Cookie": "one=\xe9" }).replace(
      "\r\n\r\n",
      "\r\nSet-Cookie: two=2\r\nX-Accel-Redirect: /\r\n\r\n",
    ),
  );
  await client.received("\r\n\r\n");
  expect(client.text).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  expect(client.text.match(/^(Set-Cookie|Connection|Upgrade|X-Accel-Redirect|X-Request-Id): .*$/gm)).toEqual([
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Set-Cookie: one=${Buffer.from("\xe9").toString("latin1")}`,
    "Set-Cookie: two=2",
    expect.stringMatching(/^X-Request-Id: /),
  ]);
});

test("when the backend dies its client is disconnected", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const client = await openRaw(gateway.port);
  client.send(handshake());
  const request = await backend.nextRequest();
  request.send(switching());
  await client.received("101");
  request.reset();
  await client.ended();
  await eventually(() => client.socket.destroyed || client.socket.readableEnded, "a closed socket");
  expect(await gateway.requestLine()).toMatchObject({ status: 101, endReason: "backend_failed" });
});

test.each(["leave", "reset"] as const)(
  "when a client dies its backend connection is closed: %s",
  async (how) => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, { websocket: true });
    const client = await openRaw(gateway.port);
    client.send(handshake());
    const request = await backend.nextRequest();
    request.send(switching());
    await client.received("101");
    client[how]();
    await request.connection.closed;
    expect(request.connection.closedBy).toBeDefined();
    expect(await gateway.requestLine()).toMatchObject({ endReason: "client_gone" });
  },
);

test("bytes that a backend sends before its end arrive", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const client = await openRaw(gateway.port);
  client.send(handshake());
  const request = await backend.nextRequest();
  const last = Buffer.alloc(2 ** 20, "x");
  request.send(Buffer.concat([Buffer.from(switching()), last]));
  request.halfClose();
  expect(await client.ended()).toBe("end");
  expect(client.bytes.length - client.text.indexOf("\r\n\r\n") - 4).toBe(last.length);
  client.halfClose();
  expect(await gateway.requestLine()).toMatchObject({ bytesSent: last.length, endReason: "completed" });
});

const ORIGIN = "https://app.example.com";

test.each([
  [ORIGIN, 0],
  ["https://evil.example", 403],
  ["null", 403],
  [undefined, 0],
])("Origin %s on a route with cors is refused with %i", async (origin, status) => {
  const echo = await startEcho();
  const gateway = await startGatewayTo(echo.url, { websocket: true, cors: { allowOrigins: [ORIGIN] } });
  const { state } = await connect(gateway, origin === undefined ? {} : { origin });
  expect(state.status).toBe(status);
  expect(echo.server.clients.size).toBe(status === 0 ? 1 : 0);
});

test("a route without websocket serves the request without the upgrade", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "plain"));
  const gateway = await startGateway({
    routes: {
      plain: { match: { path: "/plain" }, upstream: backend.url },
      socket: { match: { path: "/socket" }, upstream: backend.url, websocket: true },
    },
  });
  const client = await openRaw(gateway.port);
  client.send(handshake("/plain"));
  await client.received("plain");
  const request = await backend.nextRequest();
  expect(client.status).toBe(200);
  expect([...request.fieldLines("upgrade"), ...request.fieldLines("http2-settings")]).toEqual([]);
  // The connection stays an ordinary one, so the next request on it is served too.
  client.send("GET /plain?2 HTTP/1.1\r\nHost: sluice.test\r\n\r\n");
  expect((await backend.nextRequest()).target).toBe("/plain?2");
});

test.each([
  [
    "h2c",
    { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA" },
  ],
  ["an upgrade that Connection does not name", { Connection: "keep-alive" }],
])("%s is not forwarded", async (_name, fields) => {
  const backend = await startBackend((request) => request.respond(200, {}, "plain"));
  const gateway = await startGatewayTo(backend.url, { websocket: true });
  const client = await openRaw(gateway.port);
  client.send(handshake("/", fields));
  await client.received("plain");
  const request = await backend.nextRequest();
  expect([...request.fieldLines("upgrade"), ...request.fieldLines("http2-settings")]).toEqual([]);
});

test("a closing gateway ends its tunnels", async () => {
  const echo = await startEcho();
  const gateway = await startGatewayTo(echo.url, { websocket: true });
  const { state } = await connect(gateway);
  await gateway.close();
  await eventually(() => state.closeCode > 0, "the end of the tunnel");
  await eventually(() => echo.server.clients.size === 0, "no backend connection left");
});
