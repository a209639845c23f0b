import { type FaultHandler, runAll } from "../base/guard.ts";
import { NO_CALLBACKS, withOneMore, withoutOne } from "../base/short-list.ts";

/** What is held for one exchange, and how it is given back: all of it, once, when the exchange ends. */
export class Holdings {
  #releases = NO_CALLBACKS;
  /** How many reasons there are to go on behind the client's end. */
  #reasons = 0;
  #isSettled = false;
  #isEnded = false;
  readonly #onFault: FaultHandler;

  /** `onFault` takes the errors of releases; the others are called all the same. */
  constructor(onFault: FaultHandler) {
    this.#onFault = onFault;
  }

  /** Whether all was given back: nothing more may be acquired. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Registers a release: called at the end, at once where the end has been. */
  add(release: () => void): void {
    if (this.#isEnded) runAll([release], this.#onFault);
    else this.#releases = withOneMore(this.#releases, release);
  }

  /** Forgets a release whose matter is over. */
  remove(release: () => void): void {
    this.#releases = withoutOne(this.#releases, release);
  }

  /** Calls a registered release before the end; does nothing where it was called. */
  giveBack(release: () => void): void {
    const others = withoutOne(this.#releases, release);
    if (others === this.#releases) return;
    this.#releases = others;
    runAll([release], this.#onFault);
  }

  /** Puts the end off until the returned function is called; calling that again does nothing. */
  hold(): () => void {
    this.#reasons++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#reasons--;
      if (this.#isSettled && this.#reasons === 0) this.end();
    };
  }

  /** The client has its answer, or is gone: this is the end, unless something holds it off. */
  settle(): void {
    this.#isSettled = true;
    if (this.#reasons === 0) this.end();
  }

  /** Gives everything back now. */
  end(): void {
    this.#isEnded = true;
    const releases = this.#releases;
    this.#releases = NO_CALLBACKS;
    runAll(releases, this.#onFault);
  }
}
