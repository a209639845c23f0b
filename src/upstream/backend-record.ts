import type { ErrorCode } from "../base/errors.ts";
import { Spread } from "../observe/spread.ts";

/**
 * The result of an attempt without a response: `stale` if a kept connection was closed at the same moment;
 * `client_gone` if the client left before; else the error's code. The metric shows it without `backend_`.
 */
export type AttemptResult = "stale" | "client_gone" | ErrorCode;

/** Buckets in seconds, from a backend on this machine to one behind a lost SYN packet, which is repeated after 1 s. */
const CONNECT_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** The failure that a backend is in. */
export interface Failing {
  /** The text of the last error. */
  readonly reason: string;
  /** When the first of the failures in a row came, in ms since 1970. */
  readonly since: number;
}

/** The results of the attempts and checks of one backend, for people and metrics. Routing does not use them. */
export class BackendRecord {
  /** The times to connect, of new connections. */
  readonly connects = new Spread(CONNECT_BUCKETS);
  #successes = 0;
  /** Attempts without a response, by result. */
  readonly #others = new Map<string, number>();
  #failing: Failing | undefined;
  #isTried = false;

  /** Attempts by result. */
  get attempts(): ReadonlyMap<string, number> {
    return new Map<string, number>([["success", this.#successes], ...this.#others]);
  }

  /** The failure of the last attempt or check; undefined if it succeeded, or if there was none. */
  get failing(): Failing | undefined {
    return this.#failing;
  }

  /** Whether an attempt or a check has had a result. */
  get isTried(): boolean {
    return this.#isTried;
  }

  /** Notes an attempt with a response. */
  answered(): void {
    this.#successes++;
    this.works();
  }

  /** Counts an attempt without a response; `fails` notes the failure, if it is the backend's. */
  count(result: AttemptResult): void {
    const name = result.replace(/^backend_/, "");
    this.#others.set(name, (this.#others.get(name) ?? 0) + 1);
  }

  /** Notes a successful check. */
  works(): void {
    this.#isTried = true;
    this.#failing = undefined;
  }

  /** Notes that an attempt or a check failed. */
  fails(reason: string): void {
    this.#isTried = true;
    this.#failing = { reason, since: this.#failing?.since ?? Date.now() };
  }
}
