import { type Backend, type BackendRequest, startBackend } from "./backend.ts";

const JSON_TYPE = { "Content-Type": "application/json" };

/**
 * Starts a backend in the place of a model: it answers a POST with the usage in its `X-Usage`, such as `100,20`. With
 * `none` it reports none, with `error` it fails with 500, with `hold` it leaves the answer to the test. Any other method
 * gets an empty 200.
 */
export function startModelBackend(): Promise<Backend> {
  return startBackend((request) => answer(request));
}

function answer(request: BackendRequest): void {
  const usage = request.field("x-usage") ?? "";
  if (request.method !== "POST") request.respond(200, JSON_TYPE);
  else if (usage === "error") request.respond(500, JSON_TYPE, "{}");
  else if (usage !== "hold") request.respond(200, JSON_TYPE, JSON.stringify(chatWith(usage)));
}

function chatWith(usage: string) {
  const choices = [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }];
  if (usage === "none") return { model: "m", choices };
  const [prompt_tokens, completion_tokens] = usage.split(",").map(Number);
  return { model: "m", choices, usage: { prompt_tokens, completion_tokens } };
}

/** Asks the model; `usage` as the backend takes it. */
export function askModel(
  url: string,
  usage: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return fetch(url, { method: "POST", body: "{}", headers: { "x-usage": usage, ...headers } });
}
