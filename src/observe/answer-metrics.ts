import { Counter, Gauge, type Registry } from "prom-client";

/** The result for a client that asks for an answer. */
export type ResumeResult =
  /** It gets the answer from its position on. */
  | "attached"
  /** It has read the whole answer already. */
  | "read"
  /** There is no such answer, or it belongs to another client. */
  | "unknown"
  /** The key belongs to another request. */
  | "mismatch"
  /** The part that it needs is no longer kept. */
  | "gone"
  /** The backend request has failed, or the record cannot be reached. */
  | "failed";

/** Why an answer to a named request is not kept, or not from its beginning on. */
export type Unrecorded =
  /** `resume.answers` is reached. */
  | "answers"
  /** `resume.answersPerClient` is reached. */
  | "client"
  /** The request lacks a field of `resume.by`. */
  | "owner"
  /** The answer is longer than `resume.bytes`, or `limits.historyBytes` was reached. */
  | "bytes"
  /** Redis is away. */
  | "redis";

const UNRECORDED: readonly Unrecorded[] = ["answers", "client", "owner", "bytes", "redis"];

/** The answers of one route that are kept now. */
export interface RouteAnswers {
  readonly route: string;
  readonly states: Readonly<Record<string, number>>;
  /** Memory, in bytes. */
  readonly bytes: number;
}

/** Counts what happens to named answers. */
export class AnswerMetrics {
  readonly #resumes: Counter<"route" | "result">;
  readonly #unrecorded: Counter<"reason">;
  /** The counts once more, because a counter of prom-client can only be read later. */
  readonly #resumesOf = new Map<string, Partial<Record<ResumeResult, number>>>();
  readonly #unrecordedCounts: Partial<Record<Unrecorded, number>> = {};

  constructor(registers: Registry[], answers: () => Iterable<RouteAnswers>) {
    this.#resumes = new Counter({
      name: "sluice_answer_resumes_total",
      help: "Clients that came back for a named answer, by result.",
      labelNames: ["route", "result"],
      registers,
    });
    this.#unrecorded = new Counter({
      name: "sluice_answers_unrecorded_total",
      help: "Answers to named requests that are not kept, or not from their beginning on, by reason.",
      labelNames: ["reason"],
      registers,
    });
    for (const reason of UNRECORDED) this.#unrecorded.inc({ reason }, 0);
    new Gauge({
      name: "sluice_answers",
      help: "Named answers that are kept, by state.",
      labelNames: ["route", "state"],
      registers,
      collect() {
        this.reset();
        for (const { route, states } of answers())
          for (const [state, count] of Object.entries(states)) this.inc({ route, state }, count);
      },
    });
    new Gauge({
      name: "sluice_answer_bytes",
      help: "Memory of the named answers; it is part of sluice_history_bytes.",
      registers,
      collect() {
        this.set([...answers()].reduce((sum, { bytes }) => sum + bytes, 0));
      },
    });
  }

  /** The answers that are not kept, by reason. */
  get unrecordedCounts(): Readonly<Partial<Record<Unrecorded, number>>> {
    return this.#unrecordedCounts;
  }

  /** Returns the clients of a route that came back, by result. */
  resumesOf(route: string): Readonly<Partial<Record<ResumeResult, number>>> {
    return this.#resumesOf.get(route) ?? {};
  }

  resumed(route: string, result: ResumeResult): void {
    this.#resumes.inc({ route, result });
    const counts = this.#resumesOf.get(route) ?? {};
    counts[result] = (counts[result] ?? 0) + 1;
    this.#resumesOf.set(route, counts);
  }

  unrecorded(reason: Unrecorded): void {
    this.#unrecorded.inc({ reason });
    this.#unrecordedCounts[reason] = (this.#unrecordedCounts[reason] ?? 0) + 1;
  }
}
