import { Mistral } from "@mistralai/mistralai";
import { openai, scripted } from "../wires.mjs";

export const packages = ["@mistralai/mistralai"];
export const backend = scripted({ ...openai, error: { ...openai.error.error, object: "error" } });

export async function read(serverURL, { saw, signal }) {
  const client = new Mistral({ apiKey: "key", serverURL, retryConfig: { strategy: "none" } });
  const messages = [{ role: "user", content: "Say it." }];
  const stream = await client.chat.stream({ model: "m", messages }, { fetchOptions: { signal } });
  for await (const { data } of stream) saw(data.choices[0]?.delta.content ?? "");
}
