import type { Socket } from "node:net";
import { guarded } from "../base/guard.ts";
import type { RawResponse } from "../http/raw-response.ts";
import type { HeadLimits, PlainRequest } from "../http/request-parser.ts";
import { FastPathConnection, type FastPathRules } from "./fast-path-connection.ts";

/** What becomes of the fast path's connections and requests. */
export interface FastPathSetup {
  /** `requestTimeout` in ms, for a connection on which nothing has come. */
  readonly limits: HeadLimits & { readonly requestTimeout: number };
  /** How long, in ms, a connection stays without a further request. */
  readonly keepAliveMs: number;
  /** Answers are to be the last on their connections. */
  isDraining(): boolean;
  answer(request: PlainRequest, response: RawResponse, socket: Socket): void;
  /** Takes a connection over, with the bytes to be read first put back into it. */
  handOver(socket: Socket): void;
  /** Refuses a connection on which no request came in time. */
  timedOut(socket: Socket): void;
  /** Reports an error that no code expected, of a connection on which nothing was being answered. */
  onFault(error: unknown): void;
}

/** How often connections that wait too long are looked for: one timer for all of them. */
const SWEEP_MS = 1_000;

/**
 * The short way for the requests that leave nothing to interpret, on HTTP/1.1 connections of whatever kind.
 *
 * At the first that is not of that sort a connection goes over to node:http, once and for all.
 */
export class FastPath {
  readonly #setup: FastPathSetup;
  readonly #rules: FastPathRules;
  readonly #connections = new Set<FastPathConnection>();
  #sweep: NodeJS.Timeout | undefined;
  #isClosing = false;

  constructor(setup: FastPathSetup) {
    this.#setup = setup;
    this.#rules = {
      // A reload changes them.
      get limits() {
        return setup.limits;
      },
      keepAliveMs: setup.keepAliveMs,
      isClosing: () => this.#isClosing || setup.isDraining(),
      answer: (request, response, socket) => setup.answer(request, response, socket),
      handOver: (socket) => setup.handOver(socket),
      forget: (connection) => this.#forget(connection),
      onFault: (error) => setup.onFault(error),
    };
  }

  /** Takes a new connection, of which nothing has been read. */
  accept(socket: Socket): void {
    this.#connections.add(new FastPathConnection(socket, this.#rules));
    // After what has come was read: a process that stood still has not looked meanwhile.
    const endLate = guarded(
      (error) => this.#setup.onFault(error),
      () => this.#endLate(performance.now()),
    );
    const sweep = () => setImmediate(endLate);
    this.#sweep ??= setInterval(sweep, SWEEP_MS).unref();
  }

  /** Ends each connection with the answer under way on it, and those without one at once. */
  close(): void {
    this.#isClosing = true;
    for (const { isAnswering, socket } of this.#connections) if (!isAnswering) socket.destroy();
  }

  closeAllConnections(): void {
    for (const { socket } of this.#connections) socket.destroy();
  }

  #endLate(now: number): void {
    const { limits, keepAliveMs } = this.#setup;
    for (const connection of this.#connections) {
      if (connection.isAnswering) continue;
      const waitedMs = now - connection.waitsSince;
      if (connection.isUsed) {
        if (waitedMs > keepAliveMs) connection.socket.destroy();
      } else if (waitedMs > limits.requestTimeout) {
        connection.letGo();
        this.#setup.timedOut(connection.socket);
      }
    }
  }

  #forget(connection: FastPathConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}
