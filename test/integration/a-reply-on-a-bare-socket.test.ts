import { type AddressInfo, createServer, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { sendOnSocket } from "../../src/exchange/bare-reply.ts";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";
import { openRaw } from "../support/raw-client.ts";

const REPLY = { status: 426, fields: [["Sec-WebSocket-Version", "13"]], body: '{"a":"é"}' } as const;

async function answering(answer: (socket: Socket) => void) {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterTest(() => void server.close());
  return { port: (server.address() as AddressInfo).port, sockets };
}

test("a reply on a bare socket is one complete response", async () => {
  const { port } = await answering((socket) => sendOnSocket(socket, REPLY));
  const client = await openRaw(port);
  expect(await client.ended()).toBe("end");
  const [head = "", body = ""] = client.bytes.toString().split("\r\n\r\n");
  const [line, ...fields] = head.split("\r\n");
  expect(line).toBe("HTTP/1.1 426 Upgrade Required");
  expect(fields).toEqual([
    "Sec-WebSocket-Version: 13",
    "Content-Length: 10",
    expect.stringMatching(/^Date: .* GMT$/),
    "Connection: close",
  ]);
  expect(body).toBe(REPLY.body);
});

test("a client that is still sending gets the reply, not a reset", async () => {
  const { port } = await answering((socket) => {
    socket.pause();
    socket.once("readable", () => sendOnSocket(socket, REPLY));
  });
  const client = await openRaw(port);
  client.send(Buffer.alloc(4 << 20));
  expect(await client.ended()).toBe("end");
  expect(client.status).toBe(426);
});

test("a client that never stops sending is disconnected within about a second", async () => {
  const { port, sockets } = await answering((socket) => sendOnSocket(socket, REPLY));
  const client = await openRaw(port);
  const begun = performance.now();
  const drip = setInterval(() => client.send("x"), 20);
  afterTest(() => clearInterval(drip));
  await eventually(() => sockets[0]?.destroyed, "the end");
  // No other timer would end it; a busy machine may stall for a second.
  expect(performance.now() - begun).toBeLessThan(5000);
});

test("a second reply, or a reply on a destroyed socket, writes nothing", async () => {
  const { port, sockets } = await answering((socket) => {
    sendOnSocket(socket, REPLY);
    sendOnSocket(socket, REPLY);
  });
  const client = await openRaw(port);
  await client.ended();
  expect(client.text.match(/HTTP/g)).toHaveLength(1);
  const [socket] = sockets;
  socket?.destroy();
  if (socket !== undefined) sendOnSocket(socket, REPLY);
});
