import { guarded } from "../base/guard.ts";
import { type AnswerIndex, type RecordName, StoreUnavailable } from "../shared/store.ts";

/** How often the generating instance keeps the name, in ms. */
const HOLD_EVERY_MS = 20_000;
/** How often, in ms, another instance reports its client. Without a client an answer goes on for three times this. */
const ATTEND_EVERY_MS = 2_000;
/** A report is valid for this many intervals. */
const VALID_INTERVALS = 3;

export interface AnswerUpkeepOptions {
  readonly index: AnswerIndex;
  readonly record: RecordName;
  readonly id: string;
  /** The hash of its name; undefined if this instance found it by its ID. */
  readonly name: string | undefined;
  /** `resume.keep`, in ms. */
  readonly keepMs: number;
  /** Whether this instance generates the answer. */
  readonly isOwner: boolean;
  onFault(error: unknown): void;
}

/**
 * Tells other instances of an answer: the one that generates it keeps its name, any other one notes that it has a client
 * of it. Without Redis nothing is told, and the answer goes on.
 */
export class AnswerUpkeep {
  readonly #options: AnswerUpkeepOptions;
  readonly #everyMs: number;
  readonly #timer: NodeJS.Timeout;
  #isRunning = true;

  constructor(options: AnswerUpkeepOptions) {
    this.#options = options;
    const tell = guarded(options.onFault, () => this.#tell());
    this.#everyMs = options.isOwner ? HOLD_EVERY_MS : ATTEND_EVERY_MS;
    this.#timer = setInterval(tell, this.#everyMs);
    this.#tell();
  }

  /** Whether another instance has a client of the answer. */
  async isAttended(): Promise<boolean> {
    const { index, record } = this.#options;
    try {
      return await index.isAttended(record);
    } catch (error) {
      if (error instanceof StoreUnavailable) return false;
      throw error;
    }
  }

  /** The answer has ended: its name lasts as long as the answer. */
  ended(): void {
    const { index, name, id, keepMs, isOwner } = this.#options;
    this.#isRunning = false;
    if (isOwner && name !== undefined) this.#run(index.hold(name, id, keepMs));
  }

  /** Frees the name. */
  free(): void {
    const { index, name, id } = this.#options;
    this.stop();
    if (name !== undefined) this.#run(index.free(name, id));
  }

  /** The time of the answer is over. */
  forget(): void {
    const { index, record, isOwner } = this.#options;
    if (!isOwner) return;
    this.free();
    this.#run(index.forget(record));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    const { index, record, name, id, keepMs, isOwner } = this.#options;
    const lastsMs = this.#everyMs * VALID_INTERVALS;
    if (!isOwner) this.#run(index.attend(record, lastsMs));
    else if (this.#isRunning && name !== undefined) this.#run(index.hold(name, id, keepMs + lastsMs));
  }

  #run(told: Promise<void>): void {
    told.catch((error: unknown) => {
      if (!(error instanceof StoreUnavailable)) this.#options.onFault(error);
    });
  }
}
