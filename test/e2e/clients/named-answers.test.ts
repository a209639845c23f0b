import { setTimeout as delay } from "node:timers/promises";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { EventSource } from "eventsource";
import OpenAI from "openai";
import { expect, it } from "vitest";
import { afterTest } from "../../support/after-test.ts";
import { type BackendRequest, startBackend } from "../../support/backend.ts";
import { openClientPage } from "../../support/client-page.ts";
import { eventually } from "../../support/eventually.ts";
import { startGateway } from "../../support/gateway.ts";
import { startNginx } from "../../support/nginx.ts";
import { startPageServer } from "../../support/page-server.ts";
import { resumingRoute } from "../../support/resume.ts";

/**
 * Published clients, unmodified, behind an nginx that buffers by default and cuts a response after 5 s of silence: each
 * names its request, and gets the whole answer of one backend request.
 */

async function start(onRequest: (request: BackendRequest) => void, route = {}) {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    onRequest(request);
  });
  const routes = { main: { ...resumingRoute(backend.url, {}), stream: {}, cors: true, ...route } };
  const gateway = await startGateway({ routes });
  const nginx = await startNginx({
    upstream: gateway.host,
    extra: "proxy_read_timeout 5s; proxy_next_upstream off;",
  });
  return { requests, url: nginx.url };
}

/** Longer than nginx waits, twice. */
const FIRST_TOKEN_MS = 12_000;
const PAST_THE_CUT_MS = 6_000;
const WORDS = ["one", " two", " three"];

const headersOf = (key: string) => ({ "Idempotency-Key": key, "X-User": "ann" });

const json = (value: object) => JSON.stringify(value);

const CHUNKS: Readonly<Record<string, (text: string) => string>> = {
  chat: (content) => `data: ${json({ choices: [{ index: 0, delta: { content } }] })}\n\n`,
  messages: (text) =>
    `event: content_block_delta\ndata: ${json({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })}\n\n`,
  models: (text) =>
    `data: ${json({ candidates: [{ content: { role: "model", parts: [{ text }] } }] })}\r\n\r\n`,
};

/** Answers as the API of the request's path does, after a long time without a token. */
async function think(request: BackendRequest): Promise<void> {
  await request.wholeBody();
  await delay(FIRST_TOKEN_MS);
  const api = /chat|messages|models/.exec(request.target)?.[0] ?? "";
  request.openStream();
  for (const word of WORDS) request.emit(CHUNKS[api]?.(word) ?? "");
  if (api === "chat") request.emit("data: [DONE]\n\n");
  if (api === "messages") request.emit('event: message_stop\ndata: {"type":"message_stop"}\n\n');
  request.endStream();
}

async function byOpenai(url: string): Promise<string> {
  const client = new OpenAI({ apiKey: "k", baseURL: `${url}/v1`, maxRetries: 5 });
  const stream = await client.chat.completions.create(
    { model: "m", stream: true, messages: [{ role: "user", content: "Say it." }] },
    { headers: headersOf("openai-1") },
  );
  let text = "";
  for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
  return text;
}

async function byAnthropic(url: string): Promise<string> {
  const client = new Anthropic({ apiKey: "k", baseURL: url, maxRetries: 5 });
  const stream = await client.messages.create(
    { model: "m", max_tokens: 100, stream: true, messages: [{ role: "user", content: "Say it." }] },
    { headers: headersOf("anthropic-1") },
  );
  let text = "";
  for await (const event of stream)
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") text += event.delta.text;
  return text;
}

async function byGenai(url: string): Promise<string> {
  const client = new GoogleGenAI({
    apiKey: "k",
    httpOptions: { baseUrl: url, headers: headersOf("genai-1"), retryOptions: { attempts: 6 } },
  });
  const stream = await client.models.generateContentStream({ model: "m", contents: "Say it." });
  let text = "";
  for await (const part of stream) text += part.text ?? "";
  return text;
}

it("SDKs with their own retries get a whole answer whose first token takes 12 s", async () => {
  const { requests, url } = await start((request) => void think(request));
  const answers = await Promise.all([byOpenai(url), byAnthropic(url), byGenai(url)]);
  expect(answers).toEqual(["one two three", "one two three", "one two three"]);
  expect(requests.map(({ target }) => target.split("?")[0]).toSorted()).toEqual([
    "/v1/chat/completions",
    "/v1/messages",
    "/v1beta/models/m:streamGenerateContent",
  ]);
}, 60_000);

it("@microsoft/fetch-event-source, cut twice, gets every token of a POST once", async () => {
  const pages = await startPageServer();
  const { requests, url } = await start((request) => request.openStream(), { stream: { heartbeat: "off" } });
  const page = await openClientPage(pages.origin + pages.path);
  const source = await page.open("openFetch", "fetch", `${url}/answers`, {
    method: "POST",
    headers: { ...headersOf("fetch-1"), "Content-Type": "application/json" },
    body: '{"prompt":"Say it."}',
  });
  expect(await source.next()).toMatchObject({ type: "open", status: 200 });
  const emit = (token: string) => requests[0]?.emit(`data: ${token}\n\n`);
  emit("one");
  expect(await source.next()).toMatchObject({ type: "message", data: "one" });
  for (const token of ["two", "three"]) {
    // nginx cuts the silent response; the token comes while the client is away, or right after it is back.
    expect(await source.next()).toMatchObject({ type: "error" });
    emit(token);
    expect(await source.next()).toMatchObject({ type: "open", status: 200 });
    expect(await source.next()).toMatchObject({ type: "message", data: token });
  }
  requests[0]?.endStream();
  expect(await source.next()).toMatchObject({ type: "close" });
  expect(requests).toHaveLength(1);
}, 60_000);

it("an EventSource reads the answer at its Location, comes back after a cut, and stops at its end", async () => {
  const { requests, url } = await start((request) => request.openStream(), { stream: { heartbeat: "off" } });
  const asked = await fetch(`${url}/answers`, { method: "POST", headers: headersOf("es-1"), body: "{}" });
  const location = new URL(asked.headers.get("location") ?? "", url);
  await asked.body?.cancel();
  requests[0]?.emit("retry: 10\n\n");
  const source = new EventSource(location);
  afterTest(() => source.close());
  const tokens: string[] = [];
  source.addEventListener("message", ({ data }) => tokens.push(data));
  let cuts = 0;
  source.addEventListener("error", () => cuts++);
  requests[0]?.emit("data: one\n\n");
  await eventually(() => tokens.length === 1, "the first token");
  await delay(PAST_THE_CUT_MS);
  requests[0]?.emit("data: two\n\n");
  await eventually(() => tokens.length === 2, "the second token");
  expect(cuts).toBeGreaterThan(0);
  requests[0]?.emit("data: three\n\n");
  requests[0]?.endStream();
  await eventually(() => source.readyState === EventSource.CLOSED, "the end of the source");
  expect(tokens).toEqual(["one", "two", "three"]);
  expect(requests).toHaveLength(1);
}, 60_000);
