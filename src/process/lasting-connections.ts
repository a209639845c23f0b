import type { Socket } from "node:net";

/** The time after which the kernel asks a silent peer whether it is still there. */
const TCP_KEEP_ALIVE_MS = 60_000;

/** How long a connection has been there, at least, when it is said to be one that lasts; twice that at most. */
const LASTING_MS = 15_000;

/**
 * The connections that may be silent for long: their peers are to be asked whether they are still there. To say so is
 * four calls into the kernel for each, and most connections are gone long before it could matter.
 */
export class LastingConnections {
  #young = new Set<Socket>();
  #older = new Set<Socket>();
  #timer: NodeJS.Timeout | undefined;

  /** Notes a new connection; whoever does also calls `delete` when it is gone. */
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

/** Those of this process. */
export const lastingConnections = new LastingConnections();
