import { replaceUnsafe, spelled } from "../base/visible-text.ts";
import type { LlmConfig } from "../config/llm-schema.ts";
import type { TokenCounts } from "../exchange/token-counts.ts";
import type { LlmAnswer, Unmetered } from "../observe/llm-metrics.ts";
import { CodedJson } from "./coded-json.ts";
import { EventParts } from "./event-parts.ts";
import type { Body, BodyFormat } from "./format.ts";
import { objectOf } from "./json.ts";
import { JsonParts } from "./json-parts.ts";
import { type Output, outputOf } from "./output.ts";
import type { PartReader, Parts } from "./parts.ts";
import { modelIn, Usage } from "./usage.ts";

/** A bound for the log, in characters; the names of models are shorter. */
const MAX_MODEL = 100;

/**
 * How many parts are searched for the first output. A model is silent before it, so the first output is among the first
 * parts; without this bound, each event of a stream that is not of a model would be parsed.
 */
const MAX_SEARCHED = 1000;

const QUOTE = 0x22;
const COLON = 0x3a;
const SPACE = 0x20;
const LETTER_M = 0x4d;
const LETTER_N = 0x6e;

/**
 * The text in `"usage"` and `"usageMetadata"`. Most answers hold thousands of events without it, and each is searched. A
 * quote in front would slow the search: it looks for the first byte, and JSON is full of quotes.
 */
const USAGE = Buffer.from("usage");
/** The text in both counts of Ollama. */
const EVAL_COUNT = Buffer.from('eval_count"');

/** Reads the tokens and times of one answer of a model while its bytes pass. It changes and delays no byte. */
export class Meter implements PartReader, TokenCounts {
  readonly #format: BodyFormat;
  /** Undefined for a body that cannot be read. */
  readonly #parts: Parts | undefined;
  /** Returns the time since the request, in ms. */
  readonly #ageMs: () => number;
  readonly #usage = new Usage();
  #searched = 0;
  #firstOutput: Output | undefined;
  #firstOutputMs: number | undefined;
  #usageMs = 0;
  #model: string | undefined;
  #isWhole = false;

  constructor({ format, coding }: Body, { maxEvent }: LlmConfig, ageMs: () => number) {
    this.#format = format;
    this.#ageMs = ageMs;
    if (format === "events") this.#parts = new EventParts(this, maxEvent);
    else if (format === "json" && coding !== undefined) this.#parts = new CodedJson(coding, this, maxEvent);
    else if (format === "lines" || format === "json") this.#parts = new JsonParts(this, maxEvent);
  }

  /** Takes the next bytes of the body. */
  feed(bytes: Buffer, start: number, end: number): void {
    this.#parts?.feed(bytes, start, end);
  }

  /** Notes that the body has ended completely. */
  finish(): void {
    this.#isWhole = true;
    if (this.#parts instanceof CodedJson) this.#parts.decode();
  }

  wants(bytes: Buffer): boolean {
    if (this.#seeksOutput || mayHoldUsage(bytes)) return true;
    // Ollama never sends events.
    return this.#format !== "events" && bytes.includes(EVAL_COUNT);
  }

  read(text: string): void {
    const isSearched = this.#seeksOutput;
    if (isSearched) this.#searched++;
    const part = parsed(text);
    if (part === undefined) return;
    this.#model ??= visibleModel(modelIn(part));
    if (isSearched) this.#noteOutput(outputOf(part));
    if (this.#usage.read(part)) this.#usageMs = this.#ageMs();
  }

  get inputTokens(): number | undefined {
    return this.#isKnown ? this.#usage.input : undefined;
  }

  get outputTokens(): number | undefined {
    return this.#isKnown ? this.#usage.output : undefined;
  }

  get firstTokenMs(): number | undefined {
    return this.#firstOutputMs === undefined ? undefined : Math.round(this.#firstOutputMs);
  }

  get model(): string | undefined {
    return this.#model;
  }

  get parts(): number {
    return this.#parts?.count ?? 0;
  }

  get isFinal(): boolean {
    const { state } = this.#usage;
    return this.#isKnown && (state === "final" || (state === "running" && this.#isWhole));
  }

  /** Returns the answer as the metrics count it. */
  answer(): LlmAnswer {
    return {
      firstTokenSeconds: this.#firstOutputMs === undefined ? undefined : this.#firstOutputMs / 1000,
      inputTokens: this.inputTokens ?? 0,
      outputTokens: this.outputTokens ?? 0,
      outputPerSecond: this.#outputPerSecond(),
      unmetered: this.#unmetered(),
    };
  }

  get #isKnown(): boolean {
    return this.#usage.state !== undefined && !this.#usage.isInvalid;
  }

  /** An answer that comes whole has no first token. */
  get #seeksOutput(): boolean {
    if (this.#firstOutput !== undefined || this.#searched >= MAX_SEARCHED) return false;
    return this.#format !== "json" || (this.#parts instanceof JsonParts && this.#parts.isArray);
  }

  #noteOutput(output: Output | undefined): void {
    if (output === undefined) return;
    this.#firstOutput = output;
    this.#firstOutputMs = this.#ageMs();
  }

  /**
   * Returns the speed between the first output and the report of the usage. Reasoning that was not streamed came before
   * the first output, and does not count.
   */
  #outputPerSecond(): number | undefined {
    if (!this.isFinal || this.#firstOutputMs === undefined) return undefined;
    const { output, reasoning } = this.#usage;
    const tokens = (this.#firstOutput === "reasoning" ? output : Math.max(0, output - reasoning)) - 1;
    const ms = this.#usageMs - this.#firstOutputMs;
    return tokens > 0 && ms > 0 ? (tokens * 1000) / ms : undefined;
  }

  #unmetered(): Unmetered | undefined {
    if (this.#format === "encoded" || this.#format === "content_type") return this.#format;
    if (this.isFinal) return undefined;
    if (this.#usage.isInvalid) return "invalid";
    if (this.#parts?.hasSkipped === true) return "too_large";
    if (!this.#isWhole) return "aborted";
    return this.#parts instanceof CodedJson && !this.#parts.isDecoded ? "encoded" : "no_usage";
  }
}

/** Whether bytes may hold an object with counts. With `include_usage`, each chunk of OpenAI holds `"usage":null`. */
function mayHoldUsage(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(USAGE); at >= 0; at = bytes.indexOf(USAGE, at + USAGE.length))
    if (isUsageAt(bytes, at)) return true;
  return false;
}

/**
 * Whether `usage` at this position begins a name whose value may hold counts: `"usageMetadata"`, or `"usage"` with a value
 * other than null. In the text of an answer, quotes are escaped: `\"usage\"`.
 */
function isUsageAt(bytes: Buffer, at: number): boolean {
  if (bytes[at - 1] !== QUOTE) return false;
  let next = at + USAGE.length;
  if (bytes[next] !== QUOTE) return bytes[next] === LETTER_M;
  do next++;
  while (bytes[next] === COLON || bytes[next] === SPACE);
  // Null is the only JSON value that begins with an n.
  return bytes[next] !== LETTER_N;
}

function parsed(text: string): ReturnType<typeof objectOf> {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    // `[DONE]`, or no JSON: it holds no usage.
    return undefined;
  }
}

/** Bounds a text of the backend for the log, with characters that control a terminal escaped. */
function visibleModel(model: string | undefined): string | undefined {
  return model && replaceUnsafe(model.slice(0, MAX_MODEL), spelled);
}
