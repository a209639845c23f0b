import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { lingerAtClose } from "../../../../src/process/internals/lingering-close.ts";
import { afterTest } from "../../../support/after-test.ts";
import { eventually } from "../../../support/eventually.ts";

/** Starts an upload that is answered at once, as the last request of its connection; `lingers` prepares the response. */
async function startUpload(lingers: (request: IncomingMessage) => void) {
  const server = http.createServer((request, response) => {
    lingers(request);
    response.writeHead(413, { Connection: "close", "Content-Length": 9 }).end("too large");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  afterTest(() => void server.close());
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const client = net.connect({
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    allowHalfOpen: true,
  });
  afterTest(() => void client.destroy());
  client.on("error", () => {});
  client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
  const [socket] = await accepted;
  let text = "";
  client.on("data", (bytes) => {
    text += bytes.toString();
  });
  await eventually(() => text.endsWith("too large"), "the response");
  return { client, socket };
}

test("control: Node closes the connection although the body still comes", async () => {
  const { socket } = await startUpload(() => {});
  await eventually(() => socket.closed, "the close");
});

test("a connection lingers until the body has come", async () => {
  const { client, socket } = await startUpload(lingerAtClose);
  client.write("12345");
  await sleep(200);
  expect([socket.closed, socket.writableFinished]).toEqual([false, true]);
  client.write("67890");
  await eventually(() => socket.closed, "the close");
});

test("a connection lingers until its client has ended its half", async () => {
  const { client, socket } = await startUpload(lingerAtClose);
  await sleep(200);
  expect(socket.closed).toBe(false);
  client.end();
  await eventually(() => socket.closed, "the close");
});

test("a connection lingers no longer than its time", async () => {
  const { socket } = await startUpload((request) => lingerAtClose(request, 200));
  await eventually(() => socket.closed, "the close");
});
