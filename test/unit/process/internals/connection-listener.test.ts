import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { takeConnectionListener } from "../../../../src/process/internals/connection-listener.ts";
import { afterTest } from "../../../support/after-test.ts";
import { openRaw } from "../../../support/raw-client.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

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
