import { ProxyError } from "../base/errors.ts";
import { Signal } from "../base/signal.ts";
import type { AnswerFacts, BackendState } from "../shared/store.ts";

/** The state of an answer, as the record has it, and those who wait for it. */
export class AnswerState {
  #current: BackendState = { is: "connecting" };
  #isClosed = false;
  readonly #changed = new Signal();

  get current(): BackendState {
    return this.#current;
  }

  get is(): BackendState["is"] {
    return this.#current.is;
  }

  /** Whether more may come, from this process or another one. */
  get isRunning(): boolean {
    return this.is === "connecting" || this.is === "open";
  }

  /** Undefined until the record is known, and after a failed dial. */
  get facts(): AnswerFacts | undefined {
    return this.#current.is === "failed" ? undefined : this.#current.answer;
  }

  change(state: BackendState): void {
    this.#current = state;
    this.#changed.fire();
  }

  /** Ends all waits: nothing more will be known. */
  close(): void {
    this.#isClosed = true;
    this.#changed.fire();
  }

  /** Resolves when the record is known, or cannot be. */
  ready(): Promise<void> {
    return this.#until(() => this.facts !== undefined);
  }

  /** Resolves with the hash of the request's body; with undefined if the body stayed incomplete. */
  async bodyHash(): Promise<string | undefined> {
    await this.#until(() => this.facts?.bodyHash !== undefined);
    return this.facts?.bodyHash;
  }

  async #until(isKnown: () => boolean): Promise<void> {
    while (!isKnown() && this.isRunning && !this.#isClosed) await this.#changed.next();
  }
}

/** The state of a running answer whose process is gone. */
export function lost({ is, ...rest }: BackendState): BackendState {
  const answer = "answer" in rest ? rest.answer : undefined;
  if (is === "open") return { is: "broken", code: "backend_reset", ...(answer && { answer }) };
  const { status, code } = new ProxyError("answer_unavailable", "");
  return { is: "failed", status, code, fields: [], retryAt: Date.now() };
}

/** The state of a running answer that another process cancels. */
export function cancelled(state: BackendState, { code, status }: ProxyError): BackendState {
  if (state.is !== "open") return { is: "failed", status, code, fields: [], retryAt: Date.now() };
  return { is: "broken", code, ...(state.answer && { answer: state.answer }) };
}

/** The error with which the clients of a broken answer are aborted. */
export function brokenBy({ code }: Extract<BackendState, { is: "broken" }>): ProxyError {
  return new ProxyError(code, "the answer is incomplete");
}
