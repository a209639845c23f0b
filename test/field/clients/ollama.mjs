import { Ollama } from "ollama";
import { ERROR_TEXT } from "../script.mjs";
import { scripted } from "../wires.mjs";

const line = (content, done) =>
  `${JSON.stringify({ model: "m", created_at: "2026-11-30T00:00:00Z", message: { role: "assistant", content }, done })}\n`;

export const backend = scripted({
  type: "application/x-ndjson",
  token: (text) => line(text, false),
  after: line("", true),
  error: { error: ERROR_TEXT },
});

export async function read(host, { saw, signal }) {
  const client = new Ollama({ host });
  signal.addEventListener("abort", () => client.abort());
  const messages = [{ role: "user", content: "Say it." }];
  for await (const { message } of await client.chat({ model: "m", messages, stream: true }))
    saw(message.content);
}
