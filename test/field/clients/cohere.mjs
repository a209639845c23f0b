import { CohereClientV2 } from "cohere-ai";
import { ERROR_TEXT } from "../script.mjs";
import { event, scripted } from "../wires.mjs";

const of = (data) => event(data, data.type);

export const packages = ["cohere-ai"];
export const backend = scripted({
  type: "text/event-stream",
  before: of({ type: "message-start", id: "1", delta: { message: { role: "assistant" } } }),
  token: (text) => of({ type: "content-delta", index: 0, delta: { message: { content: { text } } } }),
  after: `${of({ type: "message-end", delta: { finish_reason: "COMPLETE" } })}data: [DONE]\n\n`,
  error: { message: ERROR_TEXT },
});

export async function read(environment, { saw, signal: abortSignal }) {
  const client = new CohereClientV2({ token: "key", environment });
  const messages = [{ role: "user", content: "Say it." }];
  const stream = await client.chatStream({ model: "m", messages }, { abortSignal, maxRetries: 0 });
  for await (const part of stream) if (part.type === "content-delta") saw(part.delta.message.content.text);
}
