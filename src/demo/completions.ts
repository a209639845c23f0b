import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { readJson, sendJson } from "./body.ts";
import { EVENT_STREAM_FIELDS, encode } from "./feed.ts";

interface Script {
  /** The time before the first byte of the response. */
  readonly pauseMs: number;
  readonly wordEveryMs: number;
  readonly answer: string;
}

const DEMO: Script = {
  pauseMs: 0,
  wordEveryMs: 45,
  answer:
    "A sluice is a gate that lets a stream through and holds none of it back. " +
    "The backend sent these words one by one, each in an event of its own, in the response to a POST. " +
    "A proxy that buffers would have shown you nothing, and then all of them at once. " +
    "Close the page, and the backend stops: you pay for no word that is not read.",
};

/** Slow enough to cut the connection before the first word and between two words. */
const SLOW: Script = {
  pauseMs: 2500,
  wordEveryMs: 130,
  answer:
    "Cut this connection or reload the page: the model goes on, because your request has a name. " +
    "sluice keeps every word that the model sends. " +
    "When you come back, you get the words that you have missed, and then the next ones as they come. " +
    "The model was asked once, and is paid once. " +
    "Cancel stops it at once, and half a minute without you stops it too.",
};

/** The most names whose requests are counted; beyond it, the oldest name is forgotten. */
const MAX_NAMES = 1000;

/** `POST /v1/chat/completions`: words as a language model streams them, in OpenAI's format. */
export class Completions {
  readonly #requests = new Map<string, number>();

  async complete(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await readJson(req, res);
    if (body === undefined) return;
    const name = req.headers["idempotency-key"];
    // Shows a client whether the model was asked again for the same name.
    if (typeof name === "string") res.setHeader("X-Model-Requests", this.#count(name));
    const script = body["model"] === "demo-slow" ? SLOW : DEMO;
    if (body["stream"] === true) return streamAnswer(res, script);
    const message = { role: "assistant", content: script.answer };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    sendJson(res, 200, { ...head(), object: "chat.completion", choices });
  }

  #count(name: string): number {
    const count = (this.#requests.get(name) ?? 0) + 1;
    this.#requests.delete(name);
    this.#requests.set(name, count);
    for (const [oldest] of this.#requests) {
      if (this.#requests.size <= MAX_NAMES) break;
      this.#requests.delete(oldest);
    }
    return count;
  }
}

async function streamAnswer(res: ServerResponse, { pauseMs, wordEveryMs, answer }: Script): Promise<void> {
  res.writeHead(200, EVENT_STREAM_FIELDS);
  const left = new AbortController();
  const { signal } = left;
  res.once("close", () => left.abort());
  const reply = { ...head(), object: "chat.completion.chunk" };
  const send = async (delta: object, finishReason: "stop" | null): Promise<void> => {
    const choices = [{ index: 0, delta, finish_reason: finishReason }];
    if (!res.write(encode({ data: JSON.stringify({ ...reply, choices }) })))
      await once(res, "drain", { signal });
  };
  try {
    // Node sends the head with the first event, as models do.
    await sleep(pauseMs, undefined, { signal });
    await send({ role: "assistant", content: "" }, null);
    for (const word of answer.split(/(?<= )/)) {
      await sleep(wordEveryMs, undefined, { signal });
      await send({ content: word }, null);
    }
    await send({}, "stop");
    res.end(encode({ data: "[DONE]" }));
  } catch (error) {
    // The client has left, and its signal has cleared the timer.
    if (!signal.aborted) throw error;
  }
}

const head = () => ({ id: "chatcmpl-demo", created: Math.floor(Date.now() / 1000), model: "demo" });
