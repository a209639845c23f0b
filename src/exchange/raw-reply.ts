import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Reply } from "./reply.ts";

/**
 * How long a client may still send after its answer.
 *
 * A socket closed over unread bytes sends a reset, and a reset makes the client's kernel throw the answer away.
 */
const LINGER_MS = 1_000;

/**
 * Answers on a bare socket, where Node has no response object to offer: a refused upgrade, a request that
 * did not parse. The connection ends with it. Does nothing on a socket that can no longer be written.
 */
export function writeRawReply(socket: Duplex, reply: Reply): void {
  // A peer that resets while it is being answered has left, which is no error of ours.
  socket.on("error", () => socket.destroy());
  if (!socket.writable || socket.writableEnded) return;
  socket.end(render(reply));
  lingerBeforeClose(socket);
}

/** Reads and drops what still comes on a socket that was answered, for a time that the client cannot stretch. */
export function lingerBeforeClose(socket: Duplex): void {
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(linger));
}

function render({ status, fields, body }: Reply): Buffer {
  const bytes = Buffer.from(status === 204 ? "" : body);
  const all = [
    ["Date", new Date().toUTCString()],
    ...fields,
    ["Connection", "close"],
    ...(status === 204 ? [] : [["Content-Length", String(bytes.length)]]),
  ];
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n${lines}\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), bytes]);
}
