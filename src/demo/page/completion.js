import { eventBlocks } from "./event-blocks.js";

const byId = (id) => document.getElementById(id);

/** Sends a POST whose response is a stream, as language models respond. Stop cancels it, as far as the backend. */
export function startCompletion(gateway) {
  let asked;
  byId("ask").addEventListener("submit", async (submit) => {
    submit.preventDefault();
    if (asked !== undefined) return asked.abort();
    asked = new AbortController();
    byId("ask-button").textContent = "Stop";
    await read(gateway, asked.signal).catch((error) => {
      byId("words-figures").textContent = asked.signal.aborted ? "stopped" : `failed: ${error.message}`;
    });
    byId("ask-button").textContent = "Ask again";
    asked = undefined;
  });
}

async function read(gateway, signal) {
  const askedAt = performance.now();
  byId("words").textContent = "";
  const response = await fetch(`${gateway}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ stream: true, messages: [{ role: "user", content: "What is a sluice?" }] }),
    signal,
  });
  if (!response.ok) throw new Error(`status ${response.status}`);
  let words = 0;
  let firstMs = 0;
  for await (const { data } of eventBlocks(response)) {
    if (data === "[DONE]") return;
    const text = JSON.parse(data).choices[0].delta.content;
    if (!text) continue;
    if (words === 0) firstMs = performance.now() - askedAt;
    words += 1;
    byId("words").append(text);
    byId("words-figures").textContent = `${words} words, first in ${Math.round(firstMs)} ms`;
  }
  throw new Error("the response is incomplete");
}
