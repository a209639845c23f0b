import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";

/** How many connections of one kind there may be, and how long, in ms, each may be idle or be answered. */
interface Bounds {
  readonly max: number;
  readonly idleMs: number;
  readonly answerMs: number;
}

/** Probes, and anybody who reaches the listener: no request on the connection was authorized. */
const STRANGERS: Bounds = { max: 64, idleMs: 5_000, answerMs: 10_000 };

/** Monitoring and dashboards. A scrape keeps its connection, so that none has to be opened when files are scarce. */
const AUTHORIZED: Bounds = { max: 64, idleMs: 75_000, answerMs: 60_000 };

/** How often connections are looked through for those that take too long. */
const SWEEP_MS = 1_000;

interface Connection {
  readonly socket: Socket;
  bounds: Bounds;
  /** It carries a dashboard's event stream, which has bounds of its own. */
  isStream: boolean;
  /** Requests whose answers have not ended. */
  underWay: number;
  /** The last change of `underWay`, by `performance.now()`. */
  since: number;
}

/**
 * The connections of the admin listener.
 *
 * Strangers and authorized clients have places of their own, and with all places taken the oldest connection gives
 * way to a newcomer. With one bound for all, 128 idle connections without a token took the probes' answers, and an
 * orchestrator restarts a gateway that does not answer its probes.
 */
export class AdminConnections {
  /** In the order in which they were accepted. */
  readonly #all = new Map<Socket, Connection>();
  #sweep: NodeJS.Timeout | undefined;

  /** `hasAddresses`: its clients have an address, as those of a unix socket do not. */
  constructor(server: Server, hasAddresses: boolean) {
    server.on("connection", (socket) => {
      // Reset by its client before it was accepted.
      if (hasAddresses && socket.remoteAddress === undefined) socket.destroy();
      else this.#accept(socket);
    });
  }

  /** Notes that a request has come; its connection is a stranger's until `authorize` says otherwise. */
  begin({ socket }: IncomingMessage, response: ServerResponse): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    connection.underWay++;
    connection.since = performance.now();
    // What the client may count on: the server's own time is that of authorized connections.
    if (connection.bounds === STRANGERS && response.shouldKeepAlive) {
      response.setHeader("Keep-Alive", `timeout=${STRANGERS.idleMs / 1_000}`);
    }
    response.once("close", () => {
      connection.underWay--;
      connection.isStream = false;
      connection.since = performance.now();
    });
  }

  /** Notes that a request brought the token, or needs none. */
  authorize({ socket }: IncomingMessage, response: ServerResponse): void {
    const connection = this.#all.get(socket);
    if (connection === undefined || connection.bounds === AUTHORIZED) return;
    connection.bounds = AUTHORIZED;
    response.removeHeader("Keep-Alive");
    this.#trim(AUTHORIZED);
  }

  /** Notes that a request is answered by an event stream. */
  openStream({ socket }: IncomingMessage): void {
    const connection = this.#all.get(socket);
    if (connection !== undefined) connection.isStream = true;
  }

  #accept(socket: Socket): void {
    this.#all.set(socket, {
      socket,
      bounds: STRANGERS,
      isStream: false,
      underWay: 0,
      since: performance.now(),
    });
    socket.once("close", () => this.#forget(socket));
    this.#sweep ??= setInterval(() => this.#endLate(performance.now()), SWEEP_MS).unref();
    this.#trim(STRANGERS);
  }

  #forget(socket: Socket): void {
    this.#all.delete(socket);
    if (this.#all.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** The newest connection stays: what came along with it, as a probe's request does, is read before the next one. */
  #trim(bounds: Bounds): void {
    const all = [...this.#all.values()].filter((connection) => connection.bounds === bounds);
    const excess = all.length - bounds.max;
    if (excess <= 0) return;
    const inOrder = bounds === STRANGERS ? all : idleFirst(all);
    for (const { socket } of inOrder.slice(0, excess)) socket.destroy();
  }

  #endLate(now: number): void {
    for (const { socket, bounds, isStream, underWay, since } of this.#all.values()) {
      if (isStream) continue;
      // A head that comes slowly is no request yet.
      if (now - since > (underWay === 0 ? bounds.idleMs : bounds.answerMs)) socket.destroy();
    }
  }
}

/** Without the event streams. A stranger could always seem busy; whoever is authorized has no reason to. */
function idleFirst(all: readonly Connection[]): Connection[] {
  return all
    .filter(({ isStream }) => !isStream)
    .toSorted((a, b) => Math.min(a.underWay, 1) - Math.min(b.underWay, 1));
}
