import OpenAI from "openai";
import { openai, scripted } from "../wires.mjs";

export const backend = scripted(openai);

export async function read(url, { saw, signal }) {
  const client = new OpenAI({ apiKey: "key", baseURL: `${url}/v1`, maxRetries: 0 });
  const messages = [{ role: "user", content: "Say it." }];
  const stream = await client.chat.completions.create({ model: "m", messages, stream: true }, { signal });
  for await (const { choices } of stream) saw(choices[0]?.delta.content ?? "");
}
