import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";
import { openai, scripted } from "../wires.mjs";

export const packages = ["ai", "@ai-sdk/openai"];
export const backend = scripted(openai);

export async function read(url, { saw, signal }) {
  const model = createOpenAI({ apiKey: "key", baseURL: `${url}/v1` }).chat("m");
  const { fullStream } = streamText({
    model,
    prompt: "Say it.",
    maxRetries: 0,
    abortSignal: signal,
    onError() {},
  });
  for await (const part of fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") saw(part.text);
  }
}
