import { guarded } from "../base/guard.ts";
import type { HeartbeatConfig } from "../config/heartbeat-schema.ts";
import { SharedBytes } from "../http/shared-bytes.ts";
import { COMMENT_LINE, heartbeatBytes, PRELUDE_DELAY_MS } from "../stream/opening.ts";
import { eachRecipient, type Recipient } from "./delivery.ts";

/** A client that gets the prelude if nothing was sent to it in time. */
export interface Preluded extends Recipient {
  /** Called once, `PRELUDE_DELAY_MS` after its stream has begun; it may have ended since. */
  prelude(): void;
}

const PRELUDE = new SharedBytes(COMMENT_LINE);

/**
 * The lines that a channel adds while it is silent: heartbeats for all clients, and a late prelude for each. One timer
 * each, because a timer for each of ten thousand clients would be most of what they cost.
 */
export class Beats {
  readonly prelude = PRELUDE;
  readonly heartbeat: SharedBytes;
  readonly #heartbeat: NodeJS.Timeout | undefined;
  /** In the order in which they are due. */
  #waiting: { readonly client: Preluded; readonly dueAt: number }[] = [];
  #prelude: NodeJS.Timeout | undefined;
  readonly #onPrelude: () => void;

  constructor(heartbeat: HeartbeatConfig | undefined, beat: () => void, onFault: (error: unknown) => void) {
    this.heartbeat = heartbeat?.event === undefined ? PRELUDE : new SharedBytes(heartbeatBytes(heartbeat));
    if (heartbeat !== undefined) this.#heartbeat = setTimeout(guarded(onFault, beat), heartbeat.every);
    this.#onPrelude = guarded(onFault, () => this.#sendPreludes());
  }

  /** Waits for the whole silence again. */
  restart(): void {
    this.#heartbeat?.refresh();
  }

  /** Sends the prelude to a client whose stream has begun, unless it gets something else in time. */
  awaitPrelude(client: Preluded): void {
    this.#waiting.push({ client, dueAt: performance.now() + PRELUDE_DELAY_MS });
    this.#prelude ??= setTimeout(this.#onPrelude, PRELUDE_DELAY_MS);
  }

  stop(): void {
    clearTimeout(this.#heartbeat);
    clearTimeout(this.#prelude);
    this.#waiting = [];
  }

  #sendPreludes(): void {
    this.#prelude = undefined;
    const now = performance.now();
    const next = this.#waiting.findIndex(({ dueAt }) => dueAt > now);
    const due = this.#waiting.splice(0, next < 0 ? this.#waiting.length : next);
    const [first] = this.#waiting;
    if (first !== undefined) this.#prelude = setTimeout(this.#onPrelude, Math.ceil(first.dueAt - now));
    eachRecipient(
      due.map(({ client }) => client),
      (client) => client.prelude(),
    );
  }
}
