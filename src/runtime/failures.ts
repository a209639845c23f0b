import { type ErrorCode, refusalOf } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";

/** The maximum number of rows; a new one replaces the row with the oldest last request. */
const MAX_ROWS = 1_000;

const MINUTE_MS = 60_000;

/** How many minutes the recent count of a row covers, the present one included. */
const RECENT_MINUTES = 5;

/** The reason of a failure: the code of the log line, or `backend_status` for a status that the backend chose. */
export type FailureReason = ErrorCode | "backend_status";

/** The requests of a route that were refused, or failed, for one reason. */
export interface FailureRow {
  /** Empty where no route matched. */
  readonly route: string;
  readonly reason: FailureReason;
  /** The status of the refusal. A stream that broke off, or that is told to retry, has sent 200 to its client. */
  readonly status: number;
  /** Since the start. */
  readonly total: number;
  /** In the last five minutes. */
  readonly recent: number;
  /** Milliseconds since 1970. */
  readonly lastAt: number;
}

/** Counts the requests that were refused or failed, by route and reason. A request that succeeds costs nothing. */
export class Failures {
  readonly #counts = new Map<string, FailureCount>();

  /** Counts an exchange that has ended, if it was refused or failed. */
  note({ route, account }: Pick<Exchange, "route" | "account">): void {
    const { error, status } = account;
    if (error === undefined && status < 500) return;
    const refusal = error === undefined ? undefined : refusalOf(error);
    this.#countOf({
      route: route?.config.name ?? "",
      reason: refusal?.code ?? "backend_status",
      status: refusal?.status ?? status,
    }).add(Date.now());
  }

  /** Returns all rows, at most `MAX_ROWS`. */
  rows(): FailureRow[] {
    const now = Date.now();
    return [...this.#counts.values()].map((count) => count.row(now));
  }

  #countOf(of: FailureKey): FailureCount {
    const key = failureKey(of);
    const known = this.#counts.get(key);
    const count = known ?? new FailureCount(of);
    // Again at the end: the first one is the oldest.
    this.#counts.delete(key);
    this.#counts.set(key, count);
    const [oldest] = this.#counts.keys();
    if (this.#counts.size > MAX_ROWS && oldest !== undefined) this.#counts.delete(oldest);
    return count;
  }
}

type FailureKey = Pick<FailureRow, "route" | "reason" | "status">;

/** Returns the key of a row. */
export function failureKey({ route, reason, status }: FailureKey): string {
  return `${reason} ${status} ${route}`;
}

class FailureCount {
  readonly #of: FailureKey;
  /** The requests of each of the last minutes; a minute has the place of its number modulo their count. */
  readonly #minutes = new Array<number>(RECENT_MINUTES).fill(0);
  #minute = 0;
  #total = 0;
  #lastAt = 0;

  constructor(of: FailureKey) {
    this.#of = of;
  }

  add(now: number): void {
    this.#advance(now);
    const place = this.#minute % RECENT_MINUTES;
    this.#minutes[place] = (this.#minutes[place] ?? 0) + 1;
    this.#total++;
    this.#lastAt = now;
  }

  row(now: number): FailureRow {
    this.#advance(now);
    const recent = this.#minutes.reduce((sum, count) => sum + count, 0);
    return { ...this.#of, total: this.#total, recent, lastAt: this.#lastAt };
  }

  /** Empties the minutes that have passed since the last call. */
  #advance(now: number): void {
    const minute = Math.floor(now / MINUTE_MS);
    const passed = Math.min(Math.max(minute - this.#minute, 0), RECENT_MINUTES);
    for (let at = 0; at < passed; at++) this.#minutes[(minute - at) % RECENT_MINUTES] = 0;
    this.#minute = Math.max(minute, this.#minute);
  }
}
