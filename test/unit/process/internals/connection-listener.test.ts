import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net, { type AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import tls from "node:tls";
import { expect, test } from "vitest";
import {
  connectionListenerOf,
  takeConnectionListener,
} from "../../../../src/process/internals/connection-listener.ts";
import { afterTest } from "../../../support/after-test.ts";
import { certificate } from "../../../support/certificate.ts";
import { eventually } from "../../../support/eventually.ts";
import { openRaw } from "../../../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const answer = (_request: unknown, response: { end(text: string): void }): void => response.end("answered");

/** A server whose connections are given to Node's parser by `accept`. */
async function listen(
  accept: (parse: (socket: Duplex) => void, socket: Duplex) => void,
  options: http.ServerOptions = {},
) {
  const server = http.createServer(options, (_request, response) => response.end("answered"));
  const parse = takeConnectionListener(server);
  server.on("connection", (socket) => accept(parse, socket));
  afterTest(() => server.close().closeAllConnections());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { server, parse, port: (server.address() as AddressInfo).port };
}

test("Node puts one listener for connections on an HTTP server", () => {
  expect(http.createServer().listenerCount("connection")).toBe(1);
});

test("the listener reads a connection some time after it was accepted, with the bytes that were put back", async () => {
  const { port } = await listen((parse, socket) => {
    socket.once("data", (bytes) => {
      socket.pause();
      setImmediate(() => {
        socket.unshift(bytes);
        parse(socket);
        socket.resume();
      });
    });
  });
  const client = await openRaw(port);
  client.send(GET);
  await client.received("answered");
});

test("the listener reads a connection again that its parser gave away for an upgrade", async () => {
  const { server, port, parse } = await listen((take, socket) => take(socket));
  server.on("upgrade", (_request, socket, head) => {
    socket.unshift(Buffer.concat([Buffer.from(GET), head]));
    parse(socket);
    socket.resume();
  });
  const client = await openRaw(port);
  client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  await client.received("answered");
});

test("a program's server reads a connection again that it gave away, and its own listeners see it once", async () => {
  for (const server of [
    http.createServer(answer),
    https.createServer(certificate, answer),
    http2.createSecureServer({ ...certificate, allowHTTP1: true }, answer),
  ]) {
    let connections = 0;
    const isSecure = !(server instanceof http.Server);
    server.on(isSecure ? "secureConnection" : "connection", () => connections++);
    const parse = connectionListenerOf(server);
    server.on("upgrade", (_request: unknown, socket: Duplex) => {
      socket.unshift(Buffer.from(GET));
      parse(socket);
      socket.resume();
    });
    afterTest(() => void server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const socket = isSecure
      ? tls.connect({ port, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] })
      : net.connect(port);
    afterTest(() => void socket.destroy());
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
    });
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    await eventually(() => text.includes("answered"), "the response");
    expect(connections).toBe(1);
    socket.destroy();
  }
});

test("the server's timeouts and closeIdleConnections hold for connections that the listener reads", async () => {
  const { server, port } = await listen((parse, socket) => setTimeout(parse, 20, socket), {
    headersTimeout: 500,
    requestTimeout: 500,
    connectionsCheckingInterval: 50,
  });
  const failed = once(server, "clientError");
  const slow = await openRaw(port);
  slow.send("GET / HT");
  expect((await failed)[0]).toMatchObject({ code: "ERR_HTTP_REQUEST_TIMEOUT" });
  const idle = await openRaw(port);
  idle.send(GET);
  await idle.received("answered");
  // The parser notes the end of a response in a later turn.
  await delay(50);
  server.closeIdleConnections();
  await idle.ended();
});
