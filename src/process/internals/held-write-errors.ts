import type { Socket } from "node:net";

type Done = (error?: Error | null) => void;

/**
 * Holds the error of a failed write back until the bytes that had arrived are read.
 *
 * A backend that refuses an upload responds, with 413 for example, and closes its connection while the body still comes.
 * Its kernel then sends a reset behind the response, and the next write fails. Node destroys the socket at a failed
 * write, with the response unread in the kernel: in 9 of 12 such uploads the client got a 502 in place of the 413.
 *
 * - Assumed of Node 20, 22 and 24: a socket writes by its methods `_write` and `_writev`, which Node documents for
 *   subclasses of streams, and is destroyed when they report an error. The kernel keeps the bytes before a reset.
 * - Without it: a client gets a 502 although its backend has responded.
 * - Can go when Node reads a socket to its end before it reports an error of a write.
 */
export class HeldWriteErrors {
  /** The error of the first write that failed. */
  first: Error | undefined;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    const { _write: write, _writev: writev } = socket;
    socket._write = (chunk, encoding, done) => write.call(socket, chunk, encoding, this.#held(done));
    if (writev !== undefined)
      socket._writev = (chunks, done) => writev.call(socket, chunks, this.#held(done));
  }

  #held(done: Done): Done {
    return (error) => {
      if (!error) return done(error);
      this.first ??= error;
      this.#afterReads(() => done(error));
    };
  }

  /** Calls back when a whole turn of the event loop has read nothing. */
  #afterReads(callback: () => void): void {
    const socket = this.#socket;
    const { bytesRead } = socket;
    const look = () => {
      if (socket.bytesRead > bytesRead && !socket.destroyed) this.#afterReads(callback);
      else callback();
    };
    // The first immediate belongs to this turn of the event loop; the second one follows the reads of the next turn.
    setImmediate(() => setImmediate(look));
  }
}
