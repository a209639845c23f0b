import type { Socket } from "node:net";
import { guarded } from "../base/guard.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { FastPathConnection, type FastPathOwner } from "./fast-path-connection.ts";

/** The receivers of connections that leave the fast path. */
export interface FastPathExits {
  /** Gives a connection to node:http, with the bytes to be read first put back into it. */
  readonly handOver: (socket: Socket) => void;
  /** Refuses a connection on which no request came within `limits.requestTimeout`. */
  readonly timedOut: (socket: Socket) => void;
}

/** How often, in ms, late connections are looked for: one timer for all of them. */
const SWEEP_MS = 1_000;

/**
 * The HTTP/1.1 connections whose requests `parseRequest` reads, plain or under TLS. Most clients only send GETs without
 * a body, one at a time; node:http would cost each of these requests more than all other work of sluice for it.
 *
 * At its first other request a connection goes to node:http for good.
 */
export class FastPath implements FastPathOwner {
  readonly runtime: Runtime;
  readonly keepAliveMs: number;
  readonly handOver: (socket: Socket) => void;
  readonly #timedOut: (socket: Socket) => void;
  readonly #connections = new Set<FastPathConnection>();
  #sweep: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** `keepAliveMs`: how long a connection stays open after a response without a further request. */
  constructor(runtime: Runtime, keepAliveMs: number, { handOver, timedOut }: FastPathExits) {
    this.runtime = runtime;
    this.keepAliveMs = keepAliveMs;
    this.handOver = handOver;
    this.#timedOut = timedOut;
  }

  get isClosing(): boolean {
    return this.#isClosed || this.runtime.isDraining;
  }

  /** Takes a new connection, of which nothing has been read. */
  accept(socket: Socket): void {
    this.#connections.add(new FastPathConnection(socket, this));
    const endLate = guarded(
      (error) => this.runtime.onFault(error),
      () => this.#endLate(performance.now()),
    );
    // An immediate runs after pending reads: when the process has stood still, requests may be waiting in the kernel.
    const sweep = () => setImmediate(endLate);
    this.#sweep ??= setInterval(sweep, SWEEP_MS).unref();
  }

  /** Ends idle connections now, and each other connection with its response. */
  close(): void {
    this.#isClosed = true;
    for (const { isAnswering, socket } of this.#connections) if (!isAnswering) socket.destroy();
  }

  closeAllConnections(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }

  forget(connection: FastPathConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #endLate(now: number): void {
    const { requestTimeout } = this.runtime.config.server.limits;
    for (const connection of this.#connections) {
      if (connection.isAnswering) continue;
      const idleMs = now - connection.idleSince;
      if (connection.isUsed) {
        if (idleMs > this.keepAliveMs) connection.socket.destroy();
      } else if (idleMs > requestTimeout) {
        connection.detach();
        this.#timedOut(connection.socket);
      }
    }
  }
}
