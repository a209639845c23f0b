import { runAll } from "../base/guard.ts";
import { NO_CALLBACKS, withOneMore, withoutOne } from "../base/short-list.ts";

/** The owner of what is released. */
export interface Holder {
  /** Takes the error of a release; an error stops no other release. */
  releaseFailed(error: unknown): void;
}

/** The releases of what one exchange holds: each is called once, when the exchange ends. */
export class Holdings {
  #releases = NO_CALLBACKS;
  /** How many holds delay the end. */
  #holds = 0;
  #isSettled = false;
  #isEnded = false;
  readonly #holder: Holder;

  constructor(holder: Holder) {
    this.#holder = holder;
  }

  /** Whether the end has come: nothing more may be acquired. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Registers a release: called at the end, or at once if the end has come. */
  add(release: () => void): void {
    if (this.#isEnded) this.#run([release]);
    else this.#releases = withOneMore(this.#releases, release);
  }

  /** Removes a release that is no longer needed. */
  remove(release: () => void): void {
    this.#releases = withoutOne(this.#releases, release);
  }

  /** Calls a registered release before the end; does nothing if it was called. */
  giveBack(release: () => void): void {
    const others = withoutOne(this.#releases, release);
    if (others === this.#releases) return;
    this.#releases = others;
    this.#run([release]);
  }

  /** Delays the end until the returned function is called; calling it again does nothing. */
  hold(): () => void {
    this.#holds++;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#holds--;
      if (this.#isSettled && this.#holds === 0) this.end();
    };
  }

  /** Notes that the client has its response or has left: this is the end, unless a hold delays it. */
  settle(): void {
    this.#isSettled = true;
    if (this.#holds === 0) this.end();
  }

  /** Calls all releases now. */
  end(): void {
    this.#isEnded = true;
    const releases = this.#releases;
    this.#releases = NO_CALLBACKS;
    this.#run(releases);
  }

  #run(releases: readonly (() => void)[]): void {
    if (releases.length > 0) runAll(releases, (error) => this.#holder.releaseFailed(error));
  }
}
