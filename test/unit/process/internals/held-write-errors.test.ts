import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { HeldWriteErrors } from "../../../../src/process/internals/held-write-errors.ts";
import { afterTest } from "../../../support/after-test.ts";

/** A socket whose peer has written `bytes`, and then has reset the connection; nothing of it is read yet. */
async function resetSocket(bytes: Buffer): Promise<Socket> {
  const server = createServer();
  afterTest(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const accepted = once(server, "connection");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  socket.pause();
  await once(socket, "connect");
  const [peer] = (await accepted) as [Socket];
  await new Promise((resolve) => peer.write(bytes, resolve));
  peer.resetAndDestroy();
  await once(peer, "close");
  return socket;
}

test("the bytes before a reset are read before a failed write destroys its socket", async () => {
  const bytes = Buffer.alloc(20_000, "x");
  const socket = await resetSocket(bytes);
  const errors = new HeldWriteErrors(socket);
  let received = 0;
  socket.on("data", (part) => {
    received += part.length;
  });
  socket.resume();
  socket.on("error", () => {});
  // Before the first read: reads come in a later turn.
  socket.write("more");
  await new Promise((resolve) => socket.once("close", resolve));
  expect(received).toBe(bytes.length);
  expect(errors.first).toMatchObject({ syscall: "write" });
});

test("control: without it a failed write destroys the socket with the bytes unread", async () => {
  const socket = await resetSocket(Buffer.from("bytes"));
  let received = 0;
  socket.on("data", (part) => {
    received += part.length;
  });
  socket.on("error", () => {});
  socket.write("more");
  await new Promise((resolve) => socket.once("close", resolve));
  expect(received).toBe(0);
});
