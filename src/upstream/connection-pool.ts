import { performance } from "node:perf_hooks";
import { Connection, type ConnectionOwner, type ConnectionTarget } from "./connection.ts";

/** Idle connections kept for each backend; more are closed as they fall idle. */
const MAX_IDLE = 64;

/** How often those that have been idle too long are looked for. */
const SWEEP_MS = 1_000;

/** The connections to one backend: those in use, and those that wait for another request. */
export class ConnectionPool implements ConnectionOwner {
  readonly target: ConnectionTarget;
  session: Buffer | undefined;
  readonly #open = new Set<Connection>();
  /** The last to fall idle is the first to be used: those that are not needed grow old. */
  #idle: Connection[] = [];
  #sweeper: NodeJS.Timeout | undefined;

  constructor(target: ConnectionTarget) {
    this.target = target;
  }

  /** An idle connection; undefined when there is none. */
  take(): Connection | undefined {
    const now = performance.now();
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      if (last.idleUntil > now) return last;
      last.destroy();
    }
    return undefined;
  }

  /** A new connection, which is still to stand. */
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

  /** Closes those that are idle, and those in use. */
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
