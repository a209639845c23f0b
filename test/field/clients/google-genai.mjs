import { GoogleGenAI } from "@google/genai";
import { google, scripted } from "../wires.mjs";

export const packages = ["@google/genai"];
export const backend = scripted(google);

export async function read(baseUrl, { saw, signal: abortSignal }) {
  const client = new GoogleGenAI({ apiKey: "key", httpOptions: { baseUrl } });
  const config = { abortSignal };
  const stream = await client.models.generateContentStream({ model: "m", contents: "Say it.", config });
  for await (const { text } of stream) saw(text);
}
