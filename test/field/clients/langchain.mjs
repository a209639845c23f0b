import { ChatOpenAI } from "@langchain/openai";
import { openai, scripted } from "../wires.mjs";

export const packages = ["@langchain/openai"];
export const backend = scripted(openai);

export async function read(url, { saw, signal }) {
  const model = new ChatOpenAI({
    model: "m",
    apiKey: "key",
    maxRetries: 0,
    configuration: { baseURL: `${url}/v1` },
  });
  for await (const { content } of await model.stream("Say it.", { signal })) saw(content);
}
