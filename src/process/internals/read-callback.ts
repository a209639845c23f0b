import type { OnReadOpts, Socket } from "node:net";

/**
 * Returns the option `onread` of connections whose reads all go into `buffer`: one object for all of them, since
 * `onRead` gets the socket. It returns true to go on reading.
 *
 * - Assumed of Node 20, 22 and 24: the callback is called as a method of its socket, of TCP or TLS.
 * - Without it: each connection needs a closure and a copy of its options, which cost 100 bytes of each open stream.
 * - Can go when Node documents `this` in the callback of `onread`.
 */
export function readCallback(
  buffer: Uint8Array,
  onRead: (socket: Socket, length: number) => true,
): OnReadOpts {
  return {
    buffer,
    callback(this: unknown, length: number): true {
      return onRead(this as Socket, length);
    },
  };
}
