import { Client } from "@langchain/langgraph-sdk";
import { event, scripted } from "../wires.mjs";

export const packages = ["@langchain/langgraph-sdk"];
export const backend = scripted({
  type: "text/event-stream; charset=utf-8",
  before: event({ run_id: "1", attempt: 1 }, "metadata"),
  token: (text) => event({ text }, "custom"),
});

export async function read(apiUrl, { saw, signal }) {
  const client = new Client({ apiUrl, apiKey: "key", callerOptions: { maxRetries: 0 } });
  const options = { input: {}, streamMode: "custom", signal };
  for await (const part of client.runs.stream(null, "agent", options))
    if (part.event === "custom") saw(part.data.text);
}
