import type { Socket } from "node:net";

/** The silence, in ms, after which the kernel probes the peer of a connection (TCP keep-alive). */
const TCP_KEEP_ALIVE_MS = 60_000;

/** The age, in ms, at which keep-alive is switched on; up to twice as much. */
const LASTING_MS = 15_000;

/**
 * Switches TCP keep-alive on for connections that last: a stream may be silent for long, and its peer may be gone.
 * Doing so costs four system calls for each connection, and most connections are closed long before it could matter.
 */
export class LastingConnections {
  #young = new Set<Socket>();
  #older = new Set<Socket>();
  #timer: NodeJS.Timeout | undefined;

  /** Notes a new connection; the caller calls `delete` when it is closed. */
  add(socket: Socket): void {
    this.#young.add(socket);
    this.#timer ??= setInterval(() => this.#grow(), LASTING_MS).unref();
  }

  delete(socket: Socket): void {
    if (!this.#young.delete(socket)) this.#older.delete(socket);
  }

  #grow(): void {
    for (const socket of this.#older) socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    this.#older = this.#young;
    this.#young = new Set();
    if (this.#older.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** The lasting connections of this process. */
export const lastingConnections = new LastingConnections();
