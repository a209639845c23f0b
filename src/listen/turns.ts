import type { Duplex } from "node:stream";

/**
 * The maximum number of requests of one connection that wait for earlier responses; a client that sends more is
 * disconnected.
 */
const MAX_PIPELINED = 16;

/** A request that needs a connection for itself, to write its response or to become a tunnel. */
export interface Turn {
  /** Takes the connection; `Turns.done` gives it to the next turn. */
  begin(): void;
  /** Called instead of `begin` if the connection has ended before. */
  skip(): void;
  /** Called when the kernel has taken all pending bytes of the connection. */
  drained?(): void;
  /** Called during the turn if the client has ended its half of the connection; `isLast` without a further request. */
  clientEnded?(isLast: boolean): void;
}

/**
 * The owner of a connection, and the turns that wait for it in the order of their requests.
 *
 * Without it, two responses were written into each other: an upgrade behind a slow request was answered first, and an
 * ignored upgrade was parsed again on a connection that another response still used, which ended the process.
 */
export class Turns {
  readonly #socket: Duplex;
  #owner: Turn | undefined;
  readonly #waiting: Turn[] = [];
  #isClientEnded = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Whether no turn has the connection or waits for it. */
  get areDone(): boolean {
    return this.#owner === undefined && this.#waiting.length === 0;
  }

  /** Begins the turn now if the connection is free, otherwise when all turns before it are done. */
  take(turn: Turn): void {
    if (this.#owner === undefined) {
      this.#begin(turn);
      return;
    }
    this.#waiting.push(turn);
    if (this.#waiting.length >= MAX_PIPELINED) this.#socket.destroy();
  }

  /** Gives the connection to the next turn; does nothing for a turn that does not own it. */
  done(turn: Turn): void {
    if (this.#owner !== turn) return;
    this.#owner = undefined;
    // A loop instead of recursion: turns of an ended connection are over at once, and a packet may hold thousands.
    while (this.#owner === undefined) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#begin(next);
    }
  }

  /** Called when the kernel has taken all pending bytes of the connection. */
  drained(): void {
    this.#owner?.drained?.();
  }

  /** Called when the client has ended its half of the connection. */
  clientEnded(): void {
    this.#isClientEnded = true;
    this.#owner?.clientEnded?.(this.#waiting.length === 0);
  }

  #begin(turn: Turn): void {
    // Bytes after a refusal that closes the connection are not a request: they may be the rest of the refused one.
    if (!this.#socket.writable) {
      turn.skip();
      return;
    }
    this.#owner = turn;
    turn.begin();
    if (this.#isClientEnded) turn.clientEnded?.(this.#waiting.length === 0);
  }
}
