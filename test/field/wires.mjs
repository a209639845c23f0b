import { createServer } from "node:http";
import { ERROR_TEXT } from "./script.mjs";

/**
 * Backends that speak the format of a vendor.
 *
 *   type     the media type of the stream
 *   token    (text, index) -> the bytes of one part
 *   before   what comes before the first part, without waiting
 *   after    what comes behind the last part
 *   error    the body of an error
 *   headers  further fields of the response
 *   other    (request) -> the body of another request of the client, or undefined
 */
export const scripted = (wire) => (script) =>
  createServer(async (request, response) => {
    const { round } = script;
    request.resume();
    const other = wire.other?.(request);
    if (other !== undefined) return response.end(other);
    if (round.mode === "error") {
      response.writeHead(429, { "content-type": "application/json" });
      return response.end(JSON.stringify(wire.error ?? { error: { message: ERROR_TEXT } }));
    }
    response.writeHead(200, { "content-type": wire.type, ...wire.headers });
    if (wire.before) response.write(wire.before);
    let index = 0;
    for await (const token of round.tokens()) response.write(wire.token(token, index++));
    response.end(wire.after);
  });

/** An event with JSON as its data, and with a type if one is given. */
export const event = (data, type) => `${type ? `event: ${type}\n` : ""}data: ${JSON.stringify(data)}\n\n`;

/** The Chat Completions of OpenAI, which others speak too. */
export const openai = {
  type: "text/event-stream; charset=utf-8",
  token: (content) =>
    event({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      created: 1,
      model: "scripted",
      choices: [{ index: 0, delta: { role: "assistant", content }, finish_reason: null }],
    }),
  after: `${event({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1,
    model: "scripted",
    choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
  })}data: [DONE]\n\n`,
  error: { error: { message: ERROR_TEXT, type: "server_error", param: null, code: null } },
};

/** A plain event stream: each part is the JSON string of an event. */
export const events = {
  type: "text/event-stream",
  token: (text, index) => `id: ${index + 1}\n${event(text)}`,
  other: ({ url }) => (url === "/page" ? "<!doctype html><title>page</title>" : undefined),
};

/** Lines of JSON of a media type. */
export const lines = (type) => ({ type, token: (text) => `${JSON.stringify({ text })}\n` });

/** Gemini's API, which ends its lines with CR LF. */
export const google = {
  type: "text/event-stream",
  token: (text) =>
    `data: ${JSON.stringify({ candidates: [{ content: { role: "model", parts: [{ text }] } }] })}\r\n\r\n`,
  error: { error: { code: 429, message: ERROR_TEXT, status: "RESOURCE_EXHAUSTED" } },
};

/** A handler of requests that answers with an error in the rounds that ask for it. */
export const refusing = (script, handler) => (request, response) => {
  if (script.round.mode !== "error") return handler(request, response);
  request.resume();
  response.writeHead(429, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: { message: ERROR_TEXT } }));
};
