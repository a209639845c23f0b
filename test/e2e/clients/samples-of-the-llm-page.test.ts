import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../../support/backend.ts";
import { bundled } from "../../support/bundle.ts";
import { launchChromium } from "../../support/chromium.ts";
import { run } from "../../support/command.ts";
import { eventually } from "../../support/eventually.ts";
import { startGateway } from "../../support/gateway.ts";
import { startNginx } from "../../support/nginx.ts";
import { startPageServer } from "../../support/page-server.ts";
import { pageText } from "../../support/pages.ts";

/** The samples of docs/llm.md, as they are there, behind an nginx that cuts a response after some silence. */

const ROOT = new URL("../../..", import.meta.url).pathname;
const [, clients = ""] = /\n## Clients\n([\s\S]*?)\n## /.exec(pageText("docs/llm.md")) ?? [];
const SAMPLES = new Map(
  clients
    .split("\n### ")
    .slice(1)
    .map((part) => [/^.+/.exec(part)?.[0] ?? "", /```js\n([\s\S]*?)```/.exec(part)?.[1] ?? ""]),
);

const IN_NODE = ["openai", "@anthropic-ai/sdk", "@google/genai", "LangGraph SDK"];
const IN_A_BROWSER = ["@microsoft/fetch-event-source", "EventSource"];
const IN_REACT = "Vercel AI SDK";

/** How long nginx waits, and a silence that is longer. */
const CUT_S = 1;
const SILENCE_MS = 1_500;
const WORDS = ["one", " two", " three"];

const json = (value: object) => JSON.stringify(value);

/** An event with a text, as the API of a path sends it. */
const EVENTS: Readonly<Record<string, (text: string) => string>> = {
  chat: (content) => `data: ${json({ choices: [{ index: 0, delta: { content } }] })}\n\n`,
  messages: (text) =>
    `event: content_block_delta\ndata: ${json({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })}\n\n`,
  models: (text) => `data: ${json({ candidates: [{ content: { parts: [{ text }] } }] })}\r\n\r\n`,
  // The space is one of the text: readers remove the first one.
  answers: (text) => `data: ${text}\n\n`,
  runs: (text) => `event: custom\ndata: ${json({ text })}\n\n`,
};

/** The readers of these events get the response head at once, and lose the connection between the words. */
const READERS = ["answers", "runs"];

/** Most SDKs come back only until the response head. */
async function answer(request: BackendRequest): Promise<void> {
  await request.wholeBody();
  const api = /chat|messages|models|answers|runs/.exec(request.target)?.[0] ?? "";
  const isRead = READERS.includes(api);
  if (!isRead) await delay(2 * SILENCE_MS);
  request.openStream();
  for (const word of WORDS) {
    if (isRead) await delay(SILENCE_MS);
    request.emit(EVENTS[api]?.(word) ?? "");
  }
  if (api === "chat") request.emit("data: [DONE]\n\n");
  request.endStream();
}

async function start(onRequest: (request: BackendRequest) => void = answer, cutS = CUT_S) {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    onRequest(request);
  });
  const route = {
    match: { path: "/*" },
    upstream: backend.url,
    resume: { by: ["header:User-Agent"] },
    stream: { heartbeat: "off" },
    cors: true,
  };
  const gateway = await startGateway({ routes: { main: route } });
  const extra = `proxy_read_timeout ${cutS}s; proxy_next_upstream off;`;
  const nginx = await startNginx({ upstream: gateway.host, extra });
  return { url: nginx.url, requests };
}

const sampleFor = (name: string, url: string): string => {
  const sample = SAMPLES.get(name) ?? "";
  expect(sample).toContain("https://api.example.com");
  return sample.replaceAll("https://api.example.com", url);
};

test("each sample is run here", () => {
  expect([...SAMPLES.keys()].sort()).toEqual([...IN_NODE, ...IN_A_BROWSER, IN_REACT].sort());
});

test.each(IN_NODE)(
  "the sample of %s gets the whole answer of one backend request",
  async (name) => {
    const { url, requests } = await start();
    const given = "const token = 'k'; const show = (text) => process.stdout.write(text);\n";
    const args = ["--input-type=module", "-e", given + sampleFor(name, url)];
    expect(await run(process.execPath, args, { cwd: ROOT })).toBe("one two three");
    expect(requests).toHaveLength(1);
  },
  60_000,
);

test.each(IN_A_BROWSER)(
  "the sample of %s gets each word once, of one backend request",
  async (name) => {
    const { url, requests } = await start();
    const pages = await startPageServer();
    const page = await (await launchChromium()).newPage();
    await page.goto(pages.origin + pages.path);
    await page.evaluate("window.token = 'k'; window.shown = []; window.show = (text) => shown.push(text);");
    const library = "/lib/@microsoft/fetch-event-source/lib/esm/index.js";
    const content = sampleFor(name, url).replace('"@microsoft/fetch-event-source"', `"${library}"`);
    await page.addScriptTag({ type: "module", content });
    const shown = () => page.evaluate<string[]>("shown");
    await eventually(async () => (await shown()).length >= WORDS.length, "three words", {
      timeoutMs: 30_000,
    });
    expect((await shown()).map((word) => word.trim())).toEqual(WORDS.map((word) => word.trim()));
    expect(requests).toHaveLength(1);
  },
  60_000,
);

/** The application around the sample: it saves the question, and shows the chat. */
const CHAT = `
import { createElement } from "react";
import { createRoot } from "react-dom/client";
const saved = JSON.parse(localStorage.getItem("question") ?? "[]");
function Chat() {
  window.chat = useNamedChat("chat-1", saved);
  return null;
}
createRoot(document.body.appendChild(document.createElement("div"))).render(createElement(Chat));
window.ask = async () => {
  const question = { id: "q", role: "user", parts: [{ type: "text", text: "Say it." }] };
  localStorage.setItem("question", JSON.stringify([question]));
  await chat.sendMessage(question);
};
window.textOf = ({ parts }) => parts.filter(({ type }) => type === "text").map(({ text }) => text).join("");
window.shown = () => chat.messages.filter(({ role }) => role === "assistant").map(textOf);
`;

test("useChat with resume has the whole answer after reloads and a cut, of one backend request", async () => {
  const { url, requests } = await start((request) => request.openStream(), 5);
  const part = (value: object) => requests[0]?.emit(`data: ${json(value)}\n\n`);
  const say = (delta: string) => part({ type: "text-delta", id: "0", delta });
  const pages = await startPageServer();
  const page = await (await launchChromium()).newPage();
  const content = await bundled(sampleFor(IN_REACT, url) + CHAT);
  const load = async () => {
    await page.goto(pages.origin + pages.path);
    await page.evaluate("window.token = 'k'");
    await page.addScriptTag({ type: "module", content });
    await eventually(() => page.evaluate("window.chat !== undefined"), "the chat");
  };
  const shows = (text: string, status: string) =>
    eventually(
      async () => (await page.evaluate("shown().join() + '/' + chat.status")) === `${text}/${status}`,
      `"${text}" and the status ${status}`,
      { timeoutMs: 15_000 },
    );

  await load();
  await page.evaluate("void ask()");
  await eventually(() => requests.length === 1, "the backend request");
  part({ type: "start" });
  part({ type: "text-start", id: "0" });
  say("one");
  await shows("one", "streaming");
  await load();
  await shows("one", "streaming");
  say(" two");
  await shows("one two", "streaming");
  // nginx cuts the silent response.
  await shows("one two", "error");
  await load();
  await shows("one two", "streaming");
  say(" three");
  part({ type: "text-end", id: "0" });
  part({ type: "finish" });
  requests[0]?.emit("data: [DONE]\n\n");
  requests[0]?.endStream();
  await shows("one two three", "ready");
  await load();
  await shows("one two three", "ready");
  expect(requests).toHaveLength(1);
}, 60_000);
