import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type BackendRequest, startBackend } from "../../support/backend.ts";
import { launchChromium } from "../../support/chromium.ts";
import { run } from "../../support/command.ts";
import { eventually } from "../../support/eventually.ts";
import { startGateway } from "../../support/gateway.ts";
import { startNginx } from "../../support/nginx.ts";
import { startPageServer } from "../../support/page-server.ts";
import { pageText } from "../../support/pages.ts";

/** The samples of docs/llm.md, as they are there, behind an nginx that cuts a response after a second of silence. */

const ROOT = new URL("../../..", import.meta.url).pathname;
const [, clients = ""] = /\n## Clients\n([\s\S]*?)\n## /.exec(pageText("docs/llm.md")) ?? [];
const SAMPLES = new Map(
  clients
    .split("\n### ")
    .slice(1)
    .map((part) => [/^.+/.exec(part)?.[0] ?? "", /```js\n([\s\S]*?)```/.exec(part)?.[1] ?? ""]),
);

const IN_NODE = ["openai", "@anthropic-ai/sdk", "@google/genai"];
const IN_A_BROWSER = ["@microsoft/fetch-event-source", "EventSource"];
/** Their packages are no dependencies. */
const NOT_RUN = ["Vercel AI SDK", "LangGraph SDK"];

/** Longer than nginx waits. */
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
};

/** SDKs wait for the response head; readers of events get it at once, and lose the connection between the words. */
async function answer(request: BackendRequest): Promise<void> {
  await request.wholeBody();
  const api = /chat|messages|models|answers/.exec(request.target)?.[0] ?? "";
  if (api !== "answers") await delay(2 * SILENCE_MS);
  request.openStream();
  for (const word of WORDS) {
    if (api === "answers") await delay(SILENCE_MS);
    request.emit(EVENTS[api]?.(word) ?? "");
  }
  if (api === "chat") request.emit("data: [DONE]\n\n");
  request.endStream();
}

async function start() {
  let requests = 0;
  const backend = await startBackend((request) => {
    requests += 1;
    void answer(request);
  });
  const route = {
    match: { path: "/*" },
    upstream: backend.url,
    resume: { by: ["header:User-Agent"] },
    stream: { heartbeat: "off" },
    cors: true,
  };
  const gateway = await startGateway({ routes: { main: route } });
  const extra = "proxy_read_timeout 1s; proxy_next_upstream off;";
  const nginx = await startNginx({ upstream: gateway.host, extra });
  return { url: nginx.url, requests: () => requests };
}

const sampleFor = (name: string, url: string): string => {
  const sample = SAMPLES.get(name) ?? "";
  expect(sample).toContain("https://api.example.com");
  return sample.replaceAll("https://api.example.com", url);
};

test("each sample is run here, but for those of packages that are no dependencies", () => {
  expect([...SAMPLES.keys()].sort()).toEqual([...IN_NODE, ...IN_A_BROWSER, ...NOT_RUN].sort());
});

test.each(IN_NODE)(
  "the sample of %s gets the whole answer of one backend request",
  async (name) => {
    const { url, requests } = await start();
    const given = "const token = 'k'; const show = (text) => process.stdout.write(text);\n";
    const args = ["--input-type=module", "-e", given + sampleFor(name, url)];
    expect(await run(process.execPath, args, { cwd: ROOT })).toBe("one two three");
    expect(requests()).toBe(1);
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
    expect(requests()).toBe(1);
  },
  60_000,
);
