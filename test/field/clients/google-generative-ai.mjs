import { GoogleGenerativeAI } from "@google/generative-ai";
import { google, scripted } from "../wires.mjs";

export const packages = ["@google/generative-ai"];
export const backend = scripted(google);

export async function read(baseUrl, { saw, signal }) {
  const model = new GoogleGenerativeAI("key").getGenerativeModel({ model: "m" }, { baseUrl });
  const { stream, response } = await model.generateContentStream("Say it.", { signal });
  // Rejects together with the stream.
  response.catch(() => undefined);
  for await (const chunk of stream) saw(chunk.text());
}
