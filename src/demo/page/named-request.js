import { eventBlocks } from "./event-blocks.js";

const PATH = "/v1/chat/completions";
const BODY = JSON.stringify({
  model: "demo-slow",
  stream: true,
  messages: [{ role: "user", content: "What happens if I leave?" }],
});

/** A request with a name: its answer can be had again after a lost connection, and by a reloaded page. */
export class NamedRequest {
  #url;
  #headers;
  #lastEventId = "";

  constructor(gateway, { key, visitor }) {
    this.#url = gateway + PATH;
    this.#headers = { "Idempotency-Key": key, "X-Visitor": visitor };
  }

  /** Sends the request to the model. */
  ask(signal) {
    const headers = { "Content-Type": "application/json" };
    return this.#send({ method: "POST", body: BODY, signal }, headers);
  }

  /** Attaches to the answer, behind the last event that was read. */
  attach(signal) {
    // Without an event, the answer comes from its start.
    return this.#send({ signal }, this.#lastEventId ? { "Last-Event-ID": this.#lastEventId } : {});
  }

  /** Stops the model. */
  cancel() {
    return this.#send({ method: "DELETE" }, {});
  }

  /** Yields the words of a response; throws if it ends before the answer does. */
  async *words(response) {
    for await (const { id, data } of eventBlocks(response)) {
      if (id) this.#lastEventId = id;
      if (data === "[DONE]") return;
      const text = JSON.parse(data).choices[0].delta.content;
      if (text) yield text;
    }
    throw new Error("the response is incomplete");
  }

  #send(init, headers) {
    return fetch(this.#url, { ...init, cache: "no-store", headers: { ...this.#headers, ...headers } });
  }
}

/** Returns a random name. `crypto.randomUUID` needs a secure origin. */
export function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
