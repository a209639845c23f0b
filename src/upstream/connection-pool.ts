import { performance } from "node:perf_hooks";
import { type ConnectionTarget, readingTarget } from "./backend-socket.ts";
import { Connection, type ConnectionOwner, onRead } from "./connection.ts";

/** The maximum number of idle connections kept for each backend; a further one is closed when it becomes idle. */
const MAX_IDLE = 64;

/** How often connections that were idle for too long are closed. */
const SWEEP_MS = 1_000;

/** The connections to one backend: those in use, and the idle ones. */
export class ConnectionPool implements ConnectionOwner {
  readonly target: ConnectionTarget;
  session: Buffer | undefined;
  readonly #open = new Set<Connection>();
  /** The connection that became idle last is used first: connections that are not needed grow old. */
  #idle: Connection[] = [];
  #sweeper: NodeJS.Timeout | undefined;

  constructor(target: ConnectionTarget) {
    this.target = readingTarget(target, onRead);
  }

  /** Returns an idle connection, which is no longer in the pool; undefined if there is none. */
  take(): Connection | undefined {
    const now = performance.now();
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      if (last.idleUntil > now) return last;
      last.destroy();
    }
    return undefined;
  }

  /** Returns a new connection, which is still connecting. */
  connect(): Connection {
    const connection = new Connection(this);
    this.#open.add(connection);
    return connection;
  }

  put(connection: Connection): void {
    if (this.#idle.length >= MAX_IDLE) {
      connection.destroy();
      return;
    }
    this.#idle.push(connection);
    this.#sweeper ??= setTimeout(() => this.#sweep(), SWEEP_MS).unref();
  }

  remove(connection: Connection): void {
    this.#open.delete(connection);
    if (connection.idleUntil > 0) this.#idle = this.#idle.filter((other) => other !== connection);
  }

  /** Closes all connections, those in use too. */
  close(): void {
    clearTimeout(this.#sweeper);
    this.#sweeper = undefined;
    for (const connection of this.#open) connection.destroy();
  }

  #sweep(): void {
    const now = performance.now();
    for (const connection of [...this.#idle]) if (connection.idleUntil <= now) connection.destroy();
    if (this.#idle.length > 0) this.#sweeper?.refresh();
    else this.#sweeper = undefined;
  }
}
