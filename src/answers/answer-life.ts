import { guarded } from "../base/guard.ts";
import type { ResumeConfig } from "../config/resume-schema.ts";
import type { AnswerUpkeep } from "./answer-upkeep.ts";

interface LifeOptions {
  readonly times: Pick<ResumeConfig, "grace" | "keep">;
  readonly upkeep: AnswerUpkeep | undefined;
  /** The answer was without a client, here and at other instances, for `resume.grace` while it came. */
  onAbandoned(): Promise<void>;
  /** `resume.keep` has passed since its end. */
  onKept(): void;
  onFault(error: unknown): void;
}

/** The time that an answer has: without a client while it comes, and after its end. */
export class AnswerLife {
  readonly #options: LifeOptions;
  #timer: NodeJS.Timeout | undefined;
  #hasClient = false;
  #hasEnded = false;

  constructor(options: LifeOptions) {
    this.#options = options;
  }

  /** The last client has left while the answer comes. */
  left(): void {
    this.#hasClient = false;
    if (!this.#hasEnded) this.#wait(this.#options.times.grace, () => void this.#endGrace());
  }

  /** A client has come. */
  attended(): void {
    this.#hasClient = true;
    if (!this.#hasEnded) clearTimeout(this.#timer);
  }

  /** The answer is whole, or incomplete for good. */
  ended(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { times, upkeep, onKept } = this.#options;
    upkeep?.ended();
    this.#wait(times.keep, () => {
      upkeep?.forget();
      onKept();
    });
  }

  stop(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#options.upkeep?.stop();
  }

  /** The answer goes on while another instance has a client of it. */
  async #endGrace(): Promise<void> {
    const { upkeep, onAbandoned, onFault } = this.#options;
    try {
      const isAttended = (await upkeep?.isAttended()) === true;
      if (this.#hasClient || this.#hasEnded) return;
      if (isAttended) this.left();
      else await onAbandoned();
    } catch (error) {
      onFault(error);
    }
  }

  #wait(ms: number, callback: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(guarded(this.#options.onFault, callback), ms);
  }
}
