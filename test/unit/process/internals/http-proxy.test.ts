import { once } from "node:events";
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { afterTest } from "../../../support/after-test.ts";
import { startBackend } from "../../../support/backend.ts";
import { switching } from "../../../support/handshake.ts";
import { openRaw } from "../../../support/raw-client.ts";

// What src/websocket/http-proxy.ts assumes of http-proxy 1.18.1 beyond its documents.

const require = createRequire(import.meta.url);
const REQUEST = {
  method: "GET",
  url: "/",
  headers: { upgrade: "websocket", connection: "Upgrade" },
} as unknown as IncomingMessage;

/** A client's connection, seen from both ends. */
async function connection() {
  const server = createServer();
  afterTest(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const accepted = once(server, "connection");
  const client = await openRaw((server.address() as AddressInfo).port);
  const [socket] = (await accepted) as [Socket];
  socket.on("error", () => {});
  afterTest(() => void socket.destroy());
  return { client, socket };
}

async function upgradeThrough(onRequest: (request: ClientRequest) => void) {
  const backend = await startBackend();
  const { client, socket } = await connection();
  const proxy = require("http-proxy").createProxyServer();
  const opened: Socket[] = [];
  proxy.once("open", (socket: Socket) => opened.push(socket));
  let sent: ClientRequest | undefined;
  proxy.once("proxyReqWs", (request: ClientRequest) => {
    sent = request;
    onRequest(request);
  });
  const { hostname: host, port } = new URL(backend.url);
  const agent = new http.Agent();
  afterTest(() => void agent.destroy());
  const options = { target: { protocol: "http:", host, port }, toProxy: true, agent, xfwd: false };
  proxy.ws(REQUEST, socket, Buffer.alloc(0), options, () => {});
  return { sent, opened, client, answer: await backend.nextRequest() };
}

test("proxyReqWs is emitted before ws() returns, and before the head is rendered", async () => {
  const { sent, answer } = await upgradeThrough((request) => {
    request.path = "//a\\b#c";
    request.setHeader("X-Own", "1");
  });
  expect(sent).toBeDefined();
  expect(answer.head.target).toBe("//a\\b#c");
  expect(answer.head.fields).toContainEqual(["X-Own", "1"]);
});

test("its own listeners for error and response are there when ws() returns, and one for upgrade", async () => {
  const { sent } = await upgradeThrough(() => {});
  expect(sent?.listenerCount("error")).toBe(1);
  expect(sent?.listenerCount("response")).toBe(1);
  expect(sent?.listenerCount("upgrade")).toBe(1);
});

test("the 101 has the headers that an earlier upgrade listener has set, and is rendered before open", async () => {
  const { client, opened, answer } = await upgradeThrough((request) => {
    request.once("upgrade", (response) => {
      response.headers = { "X-Own": ["1", "2"] } as never;
    });
  });
  answer.send(switching());
  await client.received("101 Switching Protocols\r\nX-Own: 1\r\nX-Own: 2\r\n\r\n");
  expect(opened).toHaveLength(1);
});
