import type { Duplex } from "node:stream";

/** Requests of one connection that wait for earlier answers; a client that sends more is cut off. */
const MAX_PIPELINED = 16;

/** Something that needs a connection for itself, to write an answer or to become a tunnel. */
export interface Turn {
  /** Takes the connection; `Turns.done` passes it on. */
  begin(): void;
  /** The connection ended before this turn came. */
  skip(): void;
  /** All that waited in the connection was taken. */
  drained?(): void;
}

/**
 * The one owner of a connection at a time, and those that wait in the order in which they came.
 *
 * Two owners at once wrote two answers into each other: an upgrade behind a slow request was answered first, and an
 * ignored one was parsed anew on a connection that another answer still owned, which ended the process.
 */
export class Turns {
  readonly #socket: Duplex;
  #owner: Turn | undefined;
  readonly #waiting: Turn[] = [];

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Begins the turn now where the connection is free, else when all turns before it are done. */
  take(turn: Turn): void {
    if (this.#owner === undefined) {
      this.#begin(turn);
      return;
    }
    this.#waiting.push(turn);
    if (this.#waiting.length >= MAX_PIPELINED) this.#socket.destroy();
  }

  /** Passes the connection on; does nothing for a turn that does not own it. */
  done(turn: Turn): void {
    if (this.#owner !== turn) return;
    this.#owner = undefined;
    // A loop, as turns of a connection that has ended are over at once: thousands fit into one packet.
    while (this.#owner === undefined) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#begin(next);
    }
  }

  /** The connection tells that all that waited in it was taken. */
  drained(): void {
    this.#owner?.drained?.();
  }

  #begin(turn: Turn): void {
    // Behind a refusal that closes the connection nothing is a request: a client that misread where the refused one
    // ended would have the rest of it served.
    if (!this.#socket.writable) {
      turn.skip();
      return;
    }
    this.#owner = turn;
    turn.begin();
  }
}
