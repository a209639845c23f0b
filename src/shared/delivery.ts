import { guarded } from "../base/guard.ts";
import type { History } from "./history.ts";

/** The clients that one turn of the event loop writes to; then other work, such as new events, gets its turn. */
const SLICE = 1024;

/** A client that is given events as they arrive. */
export interface Recipient {
  /** Takes the events that the history holds behind its position. */
  advance(): void;
  /** Ends this client alone, with a fault. */
  fail(error: unknown): void;
}

/** Calls `act` for each recipient; an error that it throws ends that recipient alone. */
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
 * Delivers new events to a channel's clients, all events of one turn in one write for each client.
 *
 * It runs at the end of the turn of the event loop that appended them: five events that arrive in five packets of one
 * turn cost a client one write. A pass over many clients is cut into slices, one per turn. Events that arrive during a
 * pass reach the clients of the remaining slices in this pass, and the others in the next pass.
 */
export class Delivery {
  readonly #history: History;
  readonly #recipients: ReadonlySet<Recipient>;
  readonly #onPass: () => void;
  readonly #run: () => void;
  #scheduled: NodeJS.Immediate | undefined;
  #rest: Iterator<Recipient> | undefined;
  /** The newest event at the begin of the current or the last pass. */
  #passedSeq = 0;

  /** `onPass` is called at the end of each pass. */
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

  /** Bytes of the events for which no pass has begun. */
  get pendingBytes(): number {
    return this.#history.bytesAfter(this.#passedSeq);
  }

  /** To be called when there are events to deliver or batches to release. */
  schedule(): void {
    this.#scheduled ??= setImmediate(this.#run);
  }

  /** Delivers all events now, in one pass. */
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
