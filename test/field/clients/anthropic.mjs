import Anthropic from "@anthropic-ai/sdk";
import { ERROR_TEXT } from "../script.mjs";
import { event, scripted } from "../wires.mjs";

const message = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "m",
  content: [],
  stop_reason: null,
  stop_sequence: null,
  usage: { input_tokens: 1, output_tokens: 1 },
};
const of = (data) => event(data, data.type);

export const packages = ["@anthropic-ai/sdk"];
export const backend = scripted({
  type: "text/event-stream; charset=utf-8",
  before:
    of({ type: "message_start", message }) +
    of({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }) +
    of({ type: "ping" }),
  token: (text) => of({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
  after: of({ type: "content_block_stop", index: 0 }) + of({ type: "message_stop" }),
  error: { type: "error", error: { type: "overloaded_error", message: ERROR_TEXT } },
});

export async function read(url, { saw, signal }) {
  const client = new Anthropic({ apiKey: "key", baseURL: url, maxRetries: 0 });
  const messages = [{ role: "user", content: "Say it." }];
  const stream = client.messages.stream({ model: "m", max_tokens: 9, messages }, { signal });
  stream.on("text", saw);
  await stream.finalMessage();
}
