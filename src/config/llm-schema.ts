import * as z from "zod";
import { size } from "./scalars.ts";

const MIN_EVENT_BYTES = 1024;
const MAX_EVENT_BYTES = 64 * 1024 ** 2;

/** The `llm` of a route: what is read from the answers of language models. */
export const llmSchema = z.strictObject({
  usage: z
    .enum(["auto"])
    .prefault("auto")
    .describe(
      "auto: read tokens and times from answers in the formats of OpenAI, Anthropic, Gemini and Ollama. The bytes stay as they are.",
    ),
  maxEvent: size
    .refine((bytes) => bytes >= MIN_EVENT_BYTES && bytes <= MAX_EVENT_BYTES, "expected a size from 1k to 64m")
    .prefault("1m")
    .describe(
      "The longest event, line or JSON body that is read; a longer one is forwarded unread, and the answer may count as unmetered.",
    ),
});

/** A route's `llm` after validation. */
export type LlmConfig = z.output<typeof llmSchema>;

const DEFAULTS = llmSchema.parse({});

/** Returns how a route reads the answers of models; undefined if it does not. A limit of tokens needs it. */
export function llmOf({
  llm,
  limits,
}: {
  readonly llm?: LlmConfig | undefined;
  readonly limits: { readonly tokens: readonly unknown[] };
}): LlmConfig | undefined {
  return llm ?? (limits.tokens.length > 0 ? DEFAULTS : undefined);
}
