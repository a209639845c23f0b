import { isFilled, type JsonObject, objectOf, objectsOf } from "./json.ts";

/** The kind of output in a part of a streamed answer: reasoning before the answer, or the answer itself. */
export type Output = "reasoning" | "answer";

/**
 * Returns the output of the model that a part of a streamed answer holds; undefined for roles, pings, beginnings, ends
 * and empty deltas. A call of a tool is output, because the model has generated its name.
 */
export function outputOf(part: JsonObject): Output | undefined {
  const { type } = part;
  if (type === "content_block_start") return ofAnthropicBlock(objectOf(part["content_block"]));
  if (type === "content_block_delta") return ofAnthropicDelta(objectOf(part["delta"]));
  if (typeof type === "string" && type.startsWith("response.")) return ofOpenAiResponse(type, part["delta"]);
  return (
    first(objectsOf(part["choices"]).map(ofOpenAiChoice)) ??
    first(objectsOf(part["candidates"]).flatMap(ofGeminiCandidate)) ??
    ofOllama(part)
  );
}

function ofAnthropicBlock(block: JsonObject | undefined): Output | undefined {
  const type = block?.["type"];
  if (type === "redacted_thinking") return "reasoning";
  // Text and thinking begin empty; the blocks of tools begin with the name.
  return type === undefined || type === "text" || type === "thinking" ? undefined : "answer";
}

function ofAnthropicDelta(delta: JsonObject | undefined): Output | undefined {
  if (delta === undefined) return undefined;
  if (isFilled(delta["thinking"]) || isFilled(delta["signature"])) return "reasoning";
  return isFilled(delta["text"]) || isFilled(delta["partial_json"]) ? "answer" : undefined;
}

/** An event of the Responses API: only the deltas bring output, and of those each kind. */
function ofOpenAiResponse(type: string, delta: unknown): Output | undefined {
  if (!type.endsWith(".delta") || !isFilled(delta)) return undefined;
  return type.startsWith("response.reasoning") ? "reasoning" : "answer";
}

/** DeepSeek and vLLM call the reasoning `reasoning_content`, OpenRouter calls it `reasoning`. */
function ofOpenAiChoice({ delta, text }: JsonObject): Output | undefined {
  // `text` is of the older completions.
  if (isFilled(text)) return "answer";
  const { reasoning_content: content, reasoning, role: _, ...rest } = objectOf(delta) ?? {};
  if (isFilled(content) || isFilled(reasoning)) return "reasoning";
  return Object.values(rest).some(isFilled) ? "answer" : undefined;
}

function ofGeminiCandidate({ content }: JsonObject): (Output | undefined)[] {
  return objectsOf(objectOf(content)?.["parts"]).map(({ thought, thoughtSignature: _, ...rest }) => {
    if (!Object.values(rest).some(isFilled)) return undefined;
    return thought === true ? "reasoning" : "answer";
  });
}

function ofOllama({ message, response, thinking }: JsonObject): Output | undefined {
  const chat = objectOf(message);
  if (isFilled(thinking) || isFilled(chat?.["thinking"])) return "reasoning";
  const isAnswer = isFilled(response) || isFilled(chat?.["content"]) || isFilled(chat?.["tool_calls"]);
  // An event of the Responses API has an object here.
  return isAnswer && typeof (response ?? "") === "string" ? "answer" : undefined;
}

function first(outputs: readonly (Output | undefined)[]): Output | undefined {
  return outputs.find((output) => output !== undefined);
}
