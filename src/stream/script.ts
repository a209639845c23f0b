import { Readable } from "node:stream";

/** A part of a written body, and how long to wait before it, in ms. */
export interface Step {
  readonly after: number;
  /** Called when the part is sent. */
  readonly block: () => Buffer;
}

/** A written body: read like a backend's, paused like one. */
export class Script extends Readable {
  readonly rawTrailers: string[] = [];
  readonly #next: () => Step | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `next` returns one part after the other, and undefined at the end. */
  constructor(next: () => Step | undefined) {
    super();
    this.#next = next;
  }

  /** Called again only when what was pushed has been taken, so a slow client stops the script. */
  override _read(): void {
    const step = this.#next();
    if (step === undefined) this.push(null);
    else if (step.after === 0) this.push(step.block());
    else this.#timer = setTimeout(() => this.push(step.block()), step.after);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    done(error);
  }
}
