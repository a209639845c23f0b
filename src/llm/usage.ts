import { type JsonObject, objectOf, objectsOf } from "./json.ts";

/** How far the usage is known: `begun` without the output, `running` while it is generated, `final` at its end. */
export type UsageState = "begun" | "running" | "final";

/** The names under which a vendor reports counts; the sum of the `input` or `output` that are present counts. */
interface Names {
  readonly input: readonly string[];
  readonly output: readonly string[];
  /** The objects that hold the number of reasoning tokens, which are part of the output. */
  readonly reasoning: readonly (readonly [object: string, name: string])[];
}

const NAMES: readonly Names[] = [
  // Chat completions and embeddings of OpenAI. Before `input_tokens`, because some servers report both.
  {
    input: ["prompt_tokens"],
    output: ["completion_tokens"],
    reasoning: [["completion_tokens_details", "reasoning_tokens"]],
  },
  // Anthropic, where cached tokens are not part of `input_tokens`, and the Responses API of OpenAI, where they are.
  {
    input: ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"],
    output: ["output_tokens"],
    reasoning: [["output_tokens_details", "reasoning_tokens"]],
  },
  // Gemini.
  {
    input: ["promptTokenCount", "toolUsePromptTokenCount"],
    output: ["candidatesTokenCount", "thoughtsTokenCount"],
    reasoning: [],
  },
  // Ollama.
  { input: ["prompt_eval_count"], output: ["eval_count"], reasoning: [] },
];

/** The usage of one answer, put together from its parts. */
export class Usage {
  /** Undefined until the backend has reported a count. */
  state: UsageState | undefined;
  /** Whether the backend has reported a count that is no count; then none of its counts is used. */
  isInvalid = false;
  /** By name; a later part replaces the counts of an earlier one, as all vendors report sums so far. */
  readonly #counts = new Map<string, number>();
  #names: Names | undefined;
  #reasoning = 0;

  get input(): number {
    return this.#sum(this.#names?.input);
  }

  get output(): number {
    return this.#sum(this.#names?.output);
  }

  /** The part of the output that is reasoning, if it is reported apart. */
  get reasoning(): number {
    return this.#counts.get("thoughtsTokenCount") ?? this.#reasoning;
  }

  /** Takes the usage that a part of an answer holds; returns whether it holds any. */
  read(part: JsonObject): boolean {
    const found = usageIn(part);
    if (found === undefined) return false;
    const names = NAMES.find(({ input, output }) =>
      [...input, ...output].some((name) => isNamed(found, name)),
    );
    // Vertex AI sends a usage without counts before the last part.
    if (names === undefined) return false;
    this.#names = names;
    for (const name of [...names.input, ...names.output]) this.#take(name, found.counts[name]);
    for (const [object, name] of names.reasoning) {
      const count = objectOf(found.counts[object])?.[name];
      if (isCount(count)) this.#reasoning = count;
    }
    // The sums, too, must be exact.
    if (!isCount(this.input + this.output)) this.isInvalid = true;
    this.state = found.state;
    return true;
  }

  #take(name: string, count: unknown): void {
    // Anthropic sends null for a count that does not apply.
    if (count === undefined || count === null) return;
    if (isCount(count)) this.#counts.set(name, count);
    else this.isInvalid = true;
  }

  #sum(names: readonly string[] = []): number {
    return names.reduce((sum, name) => sum + (this.#counts.get(name) ?? 0), 0);
  }
}

function isNamed({ counts }: FoundUsage, name: string): boolean {
  return counts[name] !== undefined && counts[name] !== null;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

interface FoundUsage {
  readonly counts: JsonObject;
  readonly state: UsageState;
}

/** Finds the object with the counts: at its place in the format, never inside the text of an answer. */
function usageIn(part: JsonObject): FoundUsage | undefined {
  switch (part["type"]) {
    case "message_start":
      return found(objectOf(part["message"])?.["usage"], "begun");
    case "response.completed":
    case "response.incomplete":
    case "response.failed":
      return found(objectOf(part["response"])?.["usage"], "final");
  }
  const { usage, usageMetadata, choices, candidates } = part;
  if (usageMetadata !== undefined)
    return found(usageMetadata, endState(objectsOf(candidates), "finishReason"));
  if (usage !== undefined) return found(usage, endState(objectsOf(choices), "finish_reason"));
  // The last line of Ollama's answer holds the counts itself, beside other numbers.
  const { prompt_eval_count, eval_count } = part;
  return found({ prompt_eval_count, eval_count }, "final");
}

function found(value: unknown, state: UsageState): FoundUsage | undefined {
  const counts = objectOf(value);
  return counts && { counts, state };
}

/** Some servers report the usage in each part. It is final without an unfinished choice: the last part may have none. */
function endState(choices: readonly JsonObject[], reason: string): UsageState {
  return choices.every((choice) => choice[reason] !== undefined && choice[reason] !== null)
    ? "final"
    : "running";
}

/** Returns the model that a part of an answer names. */
export function modelIn(part: JsonObject): string | undefined {
  const { model, modelVersion, message, response } = part;
  const named = model ?? modelVersion ?? objectOf(message)?.["model"] ?? objectOf(response)?.["model"];
  return typeof named === "string" && named !== "" ? named : undefined;
}
