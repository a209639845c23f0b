import type { BackendState } from "../shared/store.ts";
import type { RedisFaults } from "./faults.ts";
import { readState, writeState } from "./state.ts";

export interface BackendStatusOptions {
  readonly faults: RedisFaults;
  /** The Retry-After for clients when a leader's status cannot be read, in ms. */
  readonly unreadableMs: number;
  /** Passes a state to the channel. */
  deliver(state: BackendState): void;
  /** Whether undelivered events come before the state. */
  isWaiting(): boolean;
  /** Asks to have `unwritten` written to Redis. */
  write(): void;
  /** Called when the status has been written. */
  onWritten(): void;
}

/**
 * The status of a record's backend. The leader announces it in order with the events; other instances receive it from
 * Redis.
 */
export class BackendStatus {
  /** Our own status until Redis has it; empty if there is none. */
  unwritten = "";
  readonly #options: BackendStatusOptions;
  /** The status that the channel got last; undefined before the first. */
  #last: string | undefined;
  /** A state that is announced after events that are not delivered yet. */
  #next: BackendState | undefined;
  #isWritten = false;
  /** Whether the backend streams, according to the last state. */
  #isOpen = false;

  constructor(options: BackendStatusOptions) {
    this.#options = options;
  }

  /** Whether the channel got a status other than this one last. */
  differs(text: string): boolean {
    return text !== this.#last;
  }

  /** Announces a state of our backend, after the undelivered events. */
  announce(state: BackendState): void {
    this.#next = state;
    if (!this.#options.isWaiting()) this.announceNext();
  }

  /** Announces the pending state; called when all events have been delivered. */
  announceNext(): void {
    const state = this.#next;
    if (state === undefined) return;
    this.#next = undefined;
    this.#last = writeState(state);
    this.#deliver(state);
    if (!this.#isWritten) return;
    this.unwritten = this.#last;
    this.#options.write();
  }

  /**
   * Receives the status that the leader wrote. `isLeft` says that we lead now and the previous leader has left it: a
   * refusal whose time is over then no longer holds.
   */
  receive(text: string, isLeft = false): void {
    if (this.#last !== undefined && text === this.#last) return;
    this.#last = text;
    if (text === "") return void this.#deliver({ is: "connecting" });
    const { faults } = this.#options;
    const state = readState(text, () => faults.countInvalid("state"));
    // A refusal stays in Redis while no instance asks the backend: each later client would get it again.
    if (isLeft && !this.#isOpen && isOver(state)) this.#deliver({ is: "connecting" });
    else if (state !== undefined) this.#deliver(state);
    else if (!this.#isOpen) this.#deliver(this.#unreadable());
  }

  /**
   * Compares our status with the one in Redis, which may be ours, an older one, or empty because Redis lost it.
   * Called while we lead.
   */
  compare(written: string): void {
    this.#isWritten = true;
    if (this.unwritten !== "" && this.unwritten === written) {
      this.unwritten = "";
      this.#options.onWritten();
    } else if (this.differs(written) && this.#next === undefined) {
      this.unwritten = this.#last ?? "";
      this.#options.write();
    }
  }

  #deliver(state: BackendState): void {
    this.#isOpen = state.is === "open";
    this.#options.deliver(state);
  }

  /**
   * Returns a refusal in place of an unreadable status: waiting clients would otherwise wait until a leader of this
   * version takes over. Open streams go on.
   */
  #unreadable(): BackendState {
    const retryAt = Date.now() + this.#options.unreadableMs;
    return { is: "failed", status: 503, code: "backend_refused", fields: [], retryAt };
  }

  /** Forgets our own status; called when we no longer lead. */
  stop(): void {
    this.#isWritten = false;
    this.#next = undefined;
    this.unwritten = "";
  }
}

/** Whether the time of a refusal is over, so that the backend must be asked again. */
const isOver = (state: BackendState | undefined): boolean =>
  state?.is === "failed" && state.retryAt <= Date.now();
