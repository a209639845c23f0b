import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";

/** The maximum number of connections of one kind, and how long, in ms, each may be idle or wait for its response. */
interface Bounds {
  readonly max: number;
  readonly idleMs: number;
  readonly answerMs: number;
}

/** Connections without an authorized request: probes, and any other client that reaches the listener. */
const UNAUTHORIZED: Bounds = { max: 64, idleMs: 5_000, answerMs: 10_000 };

/**
 * Monitoring and dashboards. A scrape keeps its connection: a new one may be refused while file descriptors are short.
 */
const AUTHORIZED: Bounds = { max: 64, idleMs: 75_000, answerMs: 60_000 };

/** The interval, in ms, at which connections that take too long are closed. */
const SWEEP_MS = 1_000;

interface Connection {
  readonly socket: Socket;
  bounds: Bounds;
  /** Whether it carries a dashboard's event stream, which has bounds of its own. */
  isStream: boolean;
  /** The number of requests whose responses have not ended. */
  underWay: number;
  /** The time of the last change of `underWay`, by `performance.now()`. */
  since: number;
}

/**
 * The connections of the admin listener.
 *
 * Unauthorized and authorized clients have separate bounds, and at the bound the oldest connection is closed for a new
 * one. With one bound for all, 128 idle connections without a token blocked the probes, and an orchestrator restarts a
 * gateway that does not answer its probes.
 */
export class AdminConnections {
  /** All connections, in the order in which they were accepted. */
  readonly #all = new Map<Socket, Connection>();
  #sweep: NodeJS.Timeout | undefined;

  /** `hasAddresses` is false for a unix socket, whose clients have no address. */
  constructor(server: Server, hasAddresses: boolean) {
    server.on("connection", (socket) => {
      // Without an address: the client reset the connection before it was accepted.
      if (hasAddresses && socket.remoteAddress === undefined) socket.destroy();
      else this.#accept(socket);
    });
  }

  /** Notes a request; its connection counts as unauthorized until `authorize` is called. */
  begin({ socket }: IncomingMessage, response: ServerResponse): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    connection.underWay++;
    connection.since = performance.now();
    // Tells the client its real timeout: the server's own setting is the timeout of authorized connections.
    if (connection.bounds === UNAUTHORIZED && response.shouldKeepAlive) {
      response.setHeader("Keep-Alive", `timeout=${UNAUTHORIZED.idleMs / 1_000}`);
    }
    response.once("close", () => {
      connection.underWay--;
      connection.isStream = false;
      connection.since = performance.now();
    });
  }

  /** Notes that a request has the token, or needs none. */
  authorize({ socket }: IncomingMessage, response: ServerResponse): void {
    const connection = this.#all.get(socket);
    if (connection === undefined || connection.bounds === AUTHORIZED) return;
    connection.bounds = AUTHORIZED;
    response.removeHeader("Keep-Alive");
    this.#trim(AUTHORIZED);
  }

  /** Notes that the response to a request is an event stream. */
  openStream({ socket }: IncomingMessage): void {
    const connection = this.#all.get(socket);
    if (connection !== undefined) connection.isStream = true;
  }

  #accept(socket: Socket): void {
    this.#all.set(socket, {
      socket,
      bounds: UNAUTHORIZED,
      isStream: false,
      underWay: 0,
      since: performance.now(),
    });
    socket.once("close", () => this.#forget(socket));
    this.#sweep ??= setInterval(() => this.#endLate(performance.now()), SWEEP_MS).unref();
    this.#trim(UNAUTHORIZED);
  }

  #forget(socket: Socket): void {
    this.#all.delete(socket);
    if (this.#all.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** Closes the oldest connections beyond the bound. The newest stays until the request that came with it is read. */
  #trim(bounds: Bounds): void {
    const all = [...this.#all.values()].filter((connection) => connection.bounds === bounds);
    const excess = all.length - bounds.max;
    if (excess <= 0) return;
    const inOrder = bounds === UNAUTHORIZED ? all : idleFirst(all);
    for (const { socket } of inOrder.slice(0, excess)) socket.destroy();
  }

  #endLate(now: number): void {
    for (const { socket, bounds, isStream, underWay, since } of this.#all.values()) {
      if (isStream) continue;
      // A request counts once its head is complete; until then its connection is idle.
      if (now - since > (underWay === 0 ? bounds.idleMs : bounds.answerMs)) socket.destroy();
    }
  }
}

/**
 * Returns the connections without an event stream, idle ones first. Only for authorized clients: others could pretend
 * to be busy.
 */
function idleFirst(all: readonly Connection[]): Connection[] {
  return all
    .filter(({ isStream }) => !isStream)
    .toSorted((a, b) => Math.min(a.underWay, 1) - Math.min(b.underWay, 1));
}
