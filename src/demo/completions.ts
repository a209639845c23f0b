import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { readJson, sendJson } from "./body.ts";
import { EVENT_STREAM_FIELDS, encode } from "./feed.ts";

const WORD_EVERY_MS = 45;

const ANSWER =
  "A sluice is a gate that lets a stream through and holds none of it back. " +
  "The backend sent these words one by one, each in an event of its own, in the response to a POST. " +
  "A proxy that buffers would have shown you nothing, and then all of them at once. " +
  "Close the page, and the backend stops: you pay for no word that is not read.";

/** `POST /v1/chat/completions`: words as a language model streams them, in OpenAI's format. */
export async function complete(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = await readJson(req, res);
  if (body === undefined) return;
  const reply = { id: "chatcmpl-demo", created: Math.floor(Date.now() / 1000), model: "demo" };
  if (body["stream"] !== true) {
    const message = { role: "assistant", content: ANSWER };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    return sendJson(res, 200, { ...reply, object: "chat.completion", choices });
  }
  res.writeHead(200, EVENT_STREAM_FIELDS);
  const left = new AbortController();
  res.once("close", () => left.abort());
  const send = async (delta: object, finishReason: "stop" | null): Promise<void> => {
    const choices = [{ index: 0, delta, finish_reason: finishReason }];
    const data = JSON.stringify({ ...reply, object: "chat.completion.chunk", choices });
    if (!res.write(encode({ data }))) await once(res, "drain", { signal: left.signal });
  };
  try {
    await send({ role: "assistant", content: "" }, null);
    for (const word of ANSWER.split(/(?<= )/)) {
      await sleep(WORD_EVERY_MS, undefined, { signal: left.signal });
      await send({ content: word }, null);
    }
    await send({}, "stop");
    res.end(encode({ data: "[DONE]" }));
  } catch (error) {
    // The client has left, and its signal has cleared the timer.
    if (!left.signal.aborted) throw error;
  }
}
