import type { BackendState } from "../shared/store.ts";
import type { RedisFaults } from "./faults.ts";
import { readState, writeState } from "./state.ts";

export interface BackendStatusOptions {
  readonly faults: RedisFaults;
  /** How long clients are told to wait when a leader's word cannot be read. */
  readonly unreadableMs: number;
  /** Tells the channel. */
  give(state: BackendState): void;
  /** Whether events wait that stand in front of what is said now. */
  isWaiting(): boolean;
  /** Has what is unwritten written. */
  write(): void;
  /** It is written: has others look. */
  notify(): void;
}

/** What is said about a record's backend: heard from who leads, or said by us, at its place among the events. */
export class BackendStatus {
  /** Our own word, until Redis has it; empty for none. */
  unwritten = "";
  readonly #options: BackendStatusOptions;
  /** The last word that the channel got; undefined before the first. */
  #said: string | undefined;
  /** Said behind events that are not delivered yet. */
  #next: BackendState | undefined;
  #isWritten = false;
  /** The backend streams, as far as was said. */
  #isOpen = false;

  constructor(options: BackendStatusOptions) {
    this.#options = options;
  }

  /** Whether the channel got another word than this one. */
  isNews(text: string): boolean {
    return text !== this.#said;
  }

  /** We say it, behind the events that wait. */
  say(state: BackendState): void {
    this.#next = state;
    if (!this.#options.isWaiting()) this.sayNext();
  }

  /** No event waits any more. */
  sayNext(): void {
    const state = this.#next;
    if (state === undefined) return;
    this.#next = undefined;
    this.#said = writeState(state);
    this.#give(state);
    if (!this.#isWritten) return;
    this.unwritten = this.#said;
    this.#options.write();
  }

  /** Another one says it, or has left it to us, who lead now: then a refusal whose time is over holds no more. */
  hear(text: string, isLeft = false): void {
    if (this.#said !== undefined && text === this.#said) return;
    this.#said = text;
    if (text === "") return void this.#give({ is: "connecting" });
    const { faults } = this.#options;
    const state = readState(text, () => faults.countInvalid("state"));
    // A refusal stays written while nobody asks: it would be the answer of all who come later, one by one.
    if (isLeft && !this.#isOpen && isOver(state)) this.#give({ is: "connecting" });
    else if (state !== undefined) this.#give(state);
    else if (!this.#isOpen) this.#give(this.#unreadable());
  }

  /** We lead, and this is what Redis has: none of ours yet, an older one, or none because it lost it. */
  compare(written: string): void {
    this.#isWritten = true;
    if (this.unwritten !== "" && this.unwritten === written) {
      this.unwritten = "";
      this.#options.notify();
    } else if (this.isNews(written) && this.#next === undefined) {
      this.unwritten = this.#said ?? "";
      this.#options.write();
    }
  }

  #give(state: BackendState): void {
    this.#isOpen = state.is === "open";
    this.#options.give(state);
  }

  /** Clients that wait would do so until a leader of this version takes over; those that have a stream keep it. */
  #unreadable(): BackendState {
    const retryAt = Date.now() + this.#options.unreadableMs;
    return { is: "failed", status: 503, code: "backend_refused", fields: [], retryAt };
  }

  /** We lead no more. */
  stop(): void {
    this.#isWritten = false;
    this.#next = undefined;
    this.unwritten = "";
  }
}

/** Whether a refusal has held for its time: the backend is to be asked again. */
const isOver = (state: BackendState | undefined): boolean =>
  state?.is === "failed" && state.retryAt <= Date.now();
