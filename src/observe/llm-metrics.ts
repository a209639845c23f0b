import { Counter, type Registry } from "prom-client";
import { RouteHistogram } from "./route-histogram.ts";

/** Buckets in seconds, from a cached answer to a model that thinks for minutes. */
const FIRST_TOKEN_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300];
/** Buckets in tokens per second, from a crowded local model to one on special hardware. */
const SPEED_BUCKETS = [1, 2.5, 5, 10, 20, 40, 60, 80, 100, 150, 200, 400, 800, 1600, 3200];

/**
 * Why the tokens of an answer are unknown, or known in part: it ended without usage, or before it; its usage is no count;
 * a part was longer than `llm.maxEvent`; it has a content coding that cannot be read, or another media type.
 */
export type Unmetered = "no_usage" | "aborted" | "invalid" | "too_large" | "encoded" | "content_type";

/** An answer of a model that has ended. */
export interface LlmAnswer {
  /** Undefined for an answer that came whole, or without output. */
  readonly firstTokenSeconds: number | undefined;
  /** The tokens that the backend has reported, 0 without a report. */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Undefined for an answer that came whole or at once. */
  readonly outputPerSecond: number | undefined;
  /** Undefined if the counts are those of the whole answer. */
  readonly unmetered: Unmetered | undefined;
}

/** The metrics of answers of language models. No label comes from a backend: the model's name is in the log alone. */
export class LlmMetrics {
  readonly #firstToken: RouteHistogram;
  readonly #speed: RouteHistogram;
  readonly #tokens: Counter<"route" | "direction">;
  readonly #unmetered: Counter<"reason">;

  constructor(register: Registry) {
    const registers = [register];
    this.#firstToken = new RouteHistogram({
      name: "sluice_llm_first_token_seconds",
      help: "Time from a request's head to the first generated output of a streamed answer.",
      buckets: FIRST_TOKEN_BUCKETS,
      register,
    });
    this.#speed = new RouteHistogram({
      name: "sluice_llm_output_tokens_per_second",
      help: "Output tokens per second after the first one, of streamed answers with usage.",
      buckets: SPEED_BUCKETS,
      register,
    });
    this.#tokens = new Counter({
      name: "sluice_llm_tokens_total",
      help: "Tokens that backends have reported, by direction: input or output.",
      labelNames: ["route", "direction"],
      registers,
    });
    this.#unmetered = new Counter({
      name: "sluice_llm_unmetered_total",
      help: "Answers whose tokens are unknown, or known in part, by reason.",
      labelNames: ["reason"],
      registers,
    });
  }

  /** Counts an answer that has ended. */
  answered(route: string, answer: LlmAnswer): void {
    const { firstTokenSeconds, inputTokens, outputTokens, outputPerSecond, unmetered } = answer;
    if (firstTokenSeconds !== undefined) this.#firstToken.observe(route, firstTokenSeconds);
    if (outputPerSecond !== undefined) this.#speed.observe(route, outputPerSecond);
    this.#tokens.inc({ route, direction: "input" }, inputTokens);
    this.#tokens.inc({ route, direction: "output" }, outputTokens);
    if (unmetered !== undefined) this.#unmetered.inc({ reason: unmetered });
  }
}
