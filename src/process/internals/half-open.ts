import type { Server, ServerResponse } from "node:http";

/**
 * Lets an HTTP server answer a client that has ended its half of the connection. The caller listens for `end` of each
 * socket, and ends a connection whose client has left.
 *
 * - Assumed of Node 20, 22 and 24: the server reads its field `httpAllowHalfOpen` at the `end` of a socket. With it, it
 *   closes the connection behind the last response instead of at once.
 * - Without it: a client that ends its half with its request, such as `nc -N`, gets no response.
 * - Can go when Node documents the field.
 */
export function allowHalfOpen(server: Server): void {
  Object.assign(server, { httpAllowHalfOpen: true });
}

/**
 * Removes the first characters of a head that was prepared by `writeHead` and not sent yet, because they were written
 * to the socket before.
 *
 * - Assumed of Node 20, 22 and 24: `writeHead` renders the head into the field `_header`, and the first write sends it.
 * - Without it: a client that has left before its response could not be told from one that has ended its half.
 * - Can go together with `HalfClosedClient`.
 */
export function dropFromHead(response: ServerResponse, count: number): void {
  const { _header: head } = response as ServerResponse & { readonly _header?: unknown };
  if (typeof head !== "string") throw new TypeError("no head was prepared");
  Object.assign(response, { _header: head.slice(count) });
}
