import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import tls, { type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { destroyIfWritesHang } from "../../../../src/process/internals/tls-hung-writes.ts";
import { afterTest } from "../../../support/after-test.ts";
import { certificate } from "../../../support/certificate.ts";
import { eventually } from "../../../support/eventually.ts";

/** Connects by TLS; `onReady` gets the client's TLS socket and the connection below in the turn of its handshake. */
async function startConnection(onReady: (client: TLSSocket, below: Socket) => void): Promise<TLSSocket> {
  const server = tls.createServer({ ...certificate, allowHalfOpen: true });
  await once(server.listen(0, "127.0.0.1"), "listening");
  afterTest(() => void server.close());
  const below = net.connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
  const client = tls.connect({ socket: below, rejectUnauthorized: false });
  afterTest(() => void below.destroy());
  for (const socket of [below, client]) socket.on("error", () => {});
  client.once("secureConnect", () => onReady(client, below));
  const [socket] = (await once(server, "secureConnection")) as [TLSSocket];
  afterTest(() => void socket.destroy());
  socket.on("error", () => {});
  return socket;
}

/** Sends a request with the end of the handshake, and resets the connection before the session tickets come. */
function resetAtOnce(client: TLSSocket, below: Socket): void {
  client.write("request");
  below.resetAndDestroy();
}

/** Responds in a later turn, as with the response of a backend. */
function respondLater(socket: TLSSocket): void {
  socket.once("end", () => setTimeout(() => socket.write("response"), 20));
  socket.resume();
}

test("Node holds back every write behind a lost error: the client has reset, and no write ends", async () => {
  const socket = await startConnection(resetAtOnce);
  respondLater(socket);
  await once(socket, "end");
  await sleep(300);
  expect(socket.destroyed).toBe(false);
  expect(socket.writableLength).toBeGreaterThan(0);
});

test("such a connection is destroyed", async () => {
  const socket = await startConnection(resetAtOnce);
  destroyIfWritesHang(socket);
  respondLater(socket);
  await eventually(() => socket.closed, "the end of the connection");
});

test("a connection whose client has ended its half and reads slowly stays", async () => {
  let client: TLSSocket | undefined;
  const socket = await startConnection((ready) => {
    client = ready;
    ready.end("request");
  });
  destroyIfWritesHang(socket);
  let isTaken = false;
  socket.once("end", () => {
    socket.end(Buffer.alloc(16 * 1024 * 1024), () => {
      isTaken = true;
    });
  });
  socket.resume();
  await once(socket, "end");
  await sleep(500);
  expect(socket.writableLength).toBeGreaterThan(0);
  expect(socket.destroyed).toBe(false);
  client?.resume();
  await eventually(() => isTaken, "the end of the response");
});
