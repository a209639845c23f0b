import type { Socket } from "node:net";

const NOTHING = Buffer.alloc(0);

/**
 * Lets a socket that Node's HTTP/1 parser gave away, in an `upgrade` or `connect` event, be read again.
 *
 * - Assumed of Node 20, 22 and 24: the parser may stop the reading below the stream, for a body that is not read, and
 *   does not undo that when it gives the socket away. The stream then takes a read for still under way and starts
 *   none; `push` of an empty buffer ends that read, and adds no data.
 * - Without it: the socket tells neither what its client sends nor that the client has left, and a backend request
 *   outlives its client.
 * - Can go when Node resumes the reading before it emits the event.
 */
export function restartReading(socket: Socket): void {
  socket.push(NOTHING);
}
