import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Shorter than the 10 s of a handshake, but long enough for the probe's own handshake on a busy machine. */
const SHORT = { limits: { requestTimeout: "1500ms" } };

/** A gateway with a stream that must get its next event in any case. */
async function startProbed(server: Readonly<Record<string, unknown>> = {}) {
  const backend = await startBackend((request) => request.openStream());
  const gateway = await startSecureGatewayTo(backend.url, {}, server);
  const probe = (await openHttp2(gateway.port)).request();
  await probe.received(":\n");
  const isAlive = async () => {
    backend.requests[0]?.emit("data: alive\n\n");
    await probe.received("data: alive\n\n");
    expect(backend.requests.length).toBe(1);
  };
  return { backend, gateway, isAlive };
}

test.each([
  ["plain HTTP", GET],
  ["an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["SSH", "SSH-2.0-OpenSSH_9.2\r\n"],
  ["zeros", "\0".repeat(1000)],
  ["a hello that is cut short", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"],
  ["a hello of half its length, and garbage", `\x16\x03\x01\x00\x20\x01\x00\x00\x1c${"\xff".repeat(40)}`],
  ["an SSL 3 hello", "\x16\x03\x00\x00\x2f\x01\x00\x00\x2b\x03\x00".padEnd(60, "\0")],
])("%s on the TLS port ends only that connection", async (_, bytes) => {
  const { gateway, isAlive } = await startProbed(SHORT);
  const client = await openRaw(gateway.port);
  client.send(bytes);
  await client.ended();
  expect(client.text).not.toContain("HTTP/");
  await isAlive();
});

test("a handshake that stalls is ended in time", async () => {
  const { gateway, isAlive } = await startProbed(SHORT);
  const clients = await Promise.all(Array.from({ length: 50 }, () => openRaw(gateway.port)));
  for (const client of clients.slice(0, 25)) client.send("\x16\x03\x01");
  await Promise.all(clients.map((client) => client.ended()));
  await isAlive();
});

test("a client that resets in its handshake leaves nothing", async () => {
  const { gateway, isAlive } = await startProbed();
  for (let at = 0; at < 30; at++) {
    const tcp = connectTcp(gateway.port, "127.0.0.1");
    const socket = connect({ socket: tcp, rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    socket.on("error", () => {});
    tcp.on("error", () => {});
    if (at % 3 === 0) tcp.once("connect", () => tcp.resetAndDestroy());
    else if (at % 3 === 1) setTimeout(() => tcp.resetAndDestroy(), at / 3);
    else socket.once("secureConnect", () => tcp.resetAndDestroy());
    await eventually(() => tcp.destroyed, "the end of a connection");
  }
  await isAlive();
});

async function handshakeWith(port: number, options: ConnectionOptions): Promise<void> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  afterTest(() => void socket.destroy());
  let isOver = false;
  socket.on("error", () => {
    isOver = true;
  });
  socket.once("secureConnect", () => {
    isOver = true;
  });
  await eventually(() => isOver, "the end of a handshake");
}

test("a storm of resumed sessions, complete and interrupted, is served and ends no other connection", async () => {
  const { gateway, isAlive } = await startProbed();
  const options = { port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"] };
  const first = connect({ ...options, maxVersion: "TLSv1.2" });
  afterTest(() => void first.destroy());
  await new Promise((resolve) => first.once("secureConnect", resolve));
  const session = first.getSession();
  if (session === undefined) throw new Error("no session");
  let resumed = 0;
  const resume = (n: number) =>
    new Promise<void>((resolve) => {
      const socket = connect({ ...options, maxVersion: "TLSv1.2", session });
      socket.on("error", () => {});
      socket.once("close", () => resolve());
      if (n % 4 === 2) setTimeout(() => socket.destroy(), n % 5);
      socket.once("secureConnect", () => {
        if (socket.isSessionReused()) resumed++;
        socket.destroy();
      });
    });
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 40 }, (_, n) => resume(round * 40 + n)));
  }
  expect(resumed).toBeGreaterThan(150);
  await isAlive();
});

test("no server name or protocol of a client makes a callback throw (CVE-2026-21637)", async () => {
  const { gateway, isAlive } = await startProbed();
  const names = [
    "a".repeat(255),
    "..",
    "*.wild.test",
    "*",
    "xn--",
    "a b",
    "a\tb",
    "%00",
    "__proto__",
    "-",
    "[::1]",
  ];
  for (const servername of names) await handshakeWith(gateway.port, { servername });
  const protocols = [["\0"], ["H2"], ["a".repeat(255)], ["http/1.0"], Array(50).fill("x")];
  for (const ALPNProtocols of protocols) {
    await handshakeWith(gateway.port, { ALPNProtocols }).catch(() => {});
  }
  await isAlive();
});

test("a client cannot renegotiate TLS", async () => {
  const { gateway, isAlive } = await startProbed();
  const socket = connect({
    port: gateway.port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    maxVersion: "TLSv1.2",
  });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  const refused = await new Promise((resolve) => {
    if (!socket.renegotiate({}, (error) => resolve(error !== null))) resolve(true);
    socket.once("close", () => resolve(true));
  });
  expect(refused).toBe(true);
  await isAlive();
});

test("TLS older than 1.2 is refused", async () => {
  const { gateway, isAlive } = await startProbed();
  const socket = connect({
    port: gateway.port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    minVersion: "TLSv1",
    maxVersion: "TLSv1.1",
    ciphers: "DEFAULT@SECLEVEL=0",
  });
  const error = await new Promise<Error>((resolve) => socket.once("error", resolve));
  expect(error.message).toMatch(/protocol version|unsupported protocol/);
  await isAlive();
});

test("a gateway that closes waits for no handshake, and for no connection without a request", async () => {
  const { gateway } = await startProbed();
  const stalled = await openRaw(gateway.port);
  stalled.send("\x16\x03\x01");
  const unused = connect({ port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false });
  unused.on("error", () => {});
  await new Promise((resolve) => unused.once("secureConnect", resolve));
  const startedAt = performance.now();
  await gateway.close();
  // The wait is 5 s.
  expect(performance.now() - startedAt).toBeLessThan(3000);
});

test.each([
  ["the preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["the preface and settings", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"],
  ["a request of its version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n"],
])("%s of HTTP/2 on a port without TLS is refused", async (_, bytes) => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url);
  const { status, ending } = await rawRequest(gateway.port, bytes);
  expect([400, 505]).toContain(status);
  expect(ending).not.toBe("open");
  expect(backend.connections).toEqual([]);
  expect((await rawRequest(gateway.port, GET, { until: "\r\n\r\n" })).status).toBe(200);
});

test("a TLS hello on a port without TLS is refused", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGatewayTo(backend.url);
  const { status } = await rawRequest(gateway.port, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
  expect(status).toBe(400);
  expect(backend.connections).toEqual([]);
});

test("an upgrade to WebSocket or h2c over TLS works as without TLS", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "plain"));
  const gateway = await startSecureGatewayTo(backend.url);
  const socket = connect({ port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false });
  afterTest(() => void socket.destroy());
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes;
  });
  socket.write(
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
  );
  await eventually(() => text.includes("plain"), "the answer");
  expect(backend.requests[0]?.field("upgrade")).toBeUndefined();
  expect(backend.requests[0]?.field("http2-settings")).toBeUndefined();
});
