import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { closeSoon, lastResponseOn } from "../http/last-response.ts";
import { type Reply, writeReply } from "./reply.ts";

/**
 * Sends a reply on a bare socket, for which node:http has no response object: to a refused upgrade, or to a request
 * that did not parse. Closes the connection afterwards. Does nothing on a socket that is no longer writable.
 */
export function sendOnSocket(duplex: Duplex, reply: Reply): void {
  // Every connection of a listener is a net.Socket; node:http's types do not say so.
  const socket = duplex as Socket;
  const response = lastResponseOn(socket);
  if (!socket.writable || socket.writableEnded) return;
  writeReply(response, reply);
  closeSoon(socket);
}
