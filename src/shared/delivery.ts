import { guarded } from "../base/guard.ts";
import type { History } from "./history.ts";

/** Clients that are written to before others, new events among them, get a turn. */
const SLICE = 1024;

/** Who is given events as they come. */
export interface Recipient {
  /** Takes what the history holds behind its own position. */
  advance(): void;
  /** Ends it alone, with an error of our own. */
  fail(error: unknown): void;
}

/** Calls each in turn; what one throws ends that one, and the others get theirs. */
export function eachRecipient<T extends Pick<Recipient, "fail">>(
  recipients: Iterable<T>,
  act: (recipient: T) => void,
): void {
  for (const recipient of recipients) {
    try {
      act(recipient);
    } catch (error) {
      recipient.fail(error);
    }
  }
}

const advance = (recipient: Recipient): void => recipient.advance();

/**
 * Brings a channel's clients forward, all events of a turn in one write for each.
 *
 * Not within the call that appends, but at the end of that turn of the event loop: five events that come in five
 * packets of one turn cost a client one write. A pass over many clients is cut into slices; what comes meanwhile
 * leaves with the next slice, and a further pass brings those forward that were first.
 */
export class Delivery {
  readonly #history: History;
  readonly #recipients: ReadonlySet<Recipient>;
  readonly #onPass: () => void;
  readonly #run: () => void;
  #scheduled: NodeJS.Immediate | undefined;
  #rest: Iterator<Recipient> | undefined;
  /** The newest event when the pass under way, or the last one, began. */
  #passedSeq = 0;

  /** `onPass` is called when everybody has been brought forward. */
  constructor(
    history: History,
    recipients: ReadonlySet<Recipient>,
    onPass: () => void,
    onFault: (error: unknown) => void,
  ) {
    this.#run = guarded(onFault, () => this.#pass());
    this.#history = history;
    this.#recipients = recipients;
    this.#onPass = onPass;
  }

  /** Bytes that not everybody was offered yet. */
  get pendingBytes(): number {
    return this.#history.bytesAfter(this.#passedSeq);
  }

  /** There are events to deliver, or buffers to let go of. */
  schedule(): void {
    this.#scheduled ??= setImmediate(this.#run);
  }

  /** Delivers everything now. */
  flush(): void {
    this.stop();
    this.#passedSeq = this.#history.lastSeq;
    eachRecipient(this.#recipients, advance);
    this.#finish();
  }

  stop(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    this.#rest = undefined;
  }

  #pass(): void {
    this.#scheduled = undefined;
    if (this.#rest === undefined) {
      if (this.#history.lastSeq === this.#passedSeq) return void this.#finish();
      this.#passedSeq = this.#history.lastSeq;
      this.#rest = this.#recipients.values();
    }
    for (let count = 0; count < SLICE; count++) {
      const next = this.#rest.next();
      if (next.done === true) {
        this.#rest = undefined;
        return void this.#finish();
      }
      try {
        next.value.advance();
      } catch (error) {
        next.value.fail(error);
      }
    }
    this.#history.releaseBatches();
    this.schedule();
  }

  #finish(): void {
    this.#history.releaseBatches();
    this.#onPass();
    if (this.#history.lastSeq > this.#passedSeq) this.schedule();
  }
}
