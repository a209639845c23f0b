import type { RouteAnswers } from "../observe/answer-metrics.ts";
import type { Answer } from "./answer.ts";

/** The states as metrics name them. */
const SHOWN = {
  connecting: "waiting",
  open: "running",
  ended: "whole",
  broken: "broken",
  failed: "broken",
} as const;

/** The answers of one route in one environment in this process, over all reloads of its configuration. */
export class AnswerTable {
  readonly #byName = new Map<string, Answer>();
  readonly #byId = new Map<string, Answer>();
  /** The owners of the answers that this process generates, or has generated. */
  readonly #owners = new Map<Answer, string>();
  readonly #counts = new Map<string, number>();
  /** The last claim of each name that is under way. */
  readonly #claims = new Map<string, Promise<unknown>>();
  /** The configurations that use the table: those of two reloads overlap. */
  #users = 0;

  /** The answers that are counted against `resume.answers`. */
  get size(): number {
    return this.#owners.size;
  }

  get answers(): Iterable<Answer> {
    return this.#byId.values();
  }

  /** The answers by state, for metrics. */
  get counts(): Pick<RouteAnswers, "states" | "bytes"> {
    const states: Record<string, number> = { waiting: 0, running: 0, whole: 0, broken: 0 };
    let bytes = 0;
    for (const { state, history } of this.#byId.values()) {
      const shown = SHOWN[state.is];
      states[shown] = (states[shown] ?? 0) + 1;
      bytes += history.heldBytes;
    }
    return { states, bytes };
  }

  /** Whether one of the answers that this process generates still runs, or has an end that is not written yet. */
  get isGenerating(): boolean {
    return [...this.#owners.keys()].some(({ isUnsafe }) => isUnsafe);
  }

  countOf(owner: string): number {
    return this.#counts.get(owner) ?? 0;
  }

  named(name: string): Answer | undefined {
    return this.#byName.get(name);
  }

  withId(id: string): Answer | undefined {
    return this.#byId.get(id);
  }

  add(answer: Answer): void {
    this.#byId.set(answer.id, answer);
  }

  /** Counts an answer for its owner. */
  count(answer: Answer, owner: string): void {
    this.#owners.set(answer, owner);
    this.#counts.set(owner, this.countOf(owner) + 1);
  }

  name(answer: Answer, name: string): void {
    this.#byName.set(name, answer);
  }

  /** Frees a name, unless it names another answer by now. */
  free(answer: Answer, name: string): void {
    if (this.#byName.get(name) === answer) this.#byName.delete(name);
  }

  delete(answer: Answer): void {
    if (this.#byId.get(answer.id) === answer) this.#byId.delete(answer.id);
    const owner = this.#owners.get(answer);
    if (owner === undefined) return;
    this.#owners.delete(answer);
    const left = this.countOf(owner) - 1;
    if (left > 0) this.#counts.set(owner, left);
    else this.#counts.delete(owner);
  }

  /** Runs the claims of one name one after the other: two at once would ask the backend twice. */
  inTurn<T>(name: string, claim: () => Promise<T>): Promise<T> {
    const before = this.#claims.get(name) ?? Promise.resolve();
    const done = before.then(claim, claim);
    this.#claims.set(name, done);
    const over = () => {
      if (this.#claims.get(name) === done) this.#claims.delete(name);
    };
    done.then(over, over);
    return done;
  }

  use(): void {
    this.#users++;
  }

  /** Notes that a configuration uses it no longer; returns whether it was the last. */
  disuse(): boolean {
    this.#users--;
    return this.#users === 0;
  }
}
