import { GoogleGenAI } from "@google/genai";
import { GoogleGenerativeAI } from "@google/generative-ai";
import OpenAI, { RateLimitError } from "openai";
import { describe, expect, it } from "vitest";
import { metricsOf, startWithAdmin } from "../../support/admin.ts";
import { type Backend, startBackend } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { MODEL_ANSWERS, type ModelAnswer } from "../../support/model-answers.ts";
import { startNginx } from "../../support/nginx.ts";

/** The SDKs of the vendors, through nginx: sluice counts the tokens that each SDK reports to its program. */

const answerNamed = (name: string): ModelAnswer => {
  const found = MODEL_ANSWERS.find((answer) => answer.name === name);
  if (found === undefined) throw new TypeError(`no answer is ${name}`);
  return found;
};

/** Answers each request with the bytes of a vendor, in pieces. */
const answering = (answer: ModelAnswer): Promise<Backend> =>
  startBackend((request) => {
    request.openStream({ "Content-Type": answer.contentType });
    const bytes = Buffer.from(answer.body);
    for (let at = 0; at < bytes.length; at += 100) request.emit(bytes.subarray(at, at + 100));
    request.endStream();
  });

async function start(answer: ModelAnswer, route: object, template: "plain" | "recommended") {
  const backend = await answering(answer);
  const main = { match: { path: "/*" }, upstream: backend.url, ...route };
  const gateway = await startWithAdmin({ routes: { main } });
  const nginx = await startNginx({ template, upstream: gateway.host });
  return { backend, gateway, nginx };
}

interface Reported {
  readonly input: number | undefined;
  readonly output: number | undefined;
}

const chat = { model: "scripted", messages: [{ role: "user" as const, content: "Say it." }] };
const openai = (url: string) => new OpenAI({ apiKey: "blue", baseURL: `${url}/v1`, maxRetries: 0 });
const genai = (baseUrl: string) => new GoogleGenAI({ apiKey: "blue", httpOptions: { baseUrl } });

const SDKS: readonly [sdk: string, answer: string, ask: (url: string) => Promise<Reported>][] = [
  [
    "openai, chat.completions, streamed",
    "a chat completion of OpenAI, streamed with include_usage",
    async (url) => {
      const options = { stream: true as const, stream_options: { include_usage: true } };
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of await openai(url).chat.completions.create({ ...chat, ...options }))
        usage = chunk.usage ?? usage;
      return { input: usage?.prompt_tokens, output: usage?.completion_tokens };
    },
  ],
  [
    "openai, chat.completions",
    "a chat completion of OpenAI, whole",
    async (url) => {
      const { usage } = await openai(url).chat.completions.create(chat);
      return { input: usage?.prompt_tokens, output: usage?.completion_tokens };
    },
  ],
  [
    "openai, responses, streamed",
    "a response of OpenAI, streamed",
    async (url) => {
      const asked = { model: "scripted", input: "Say it.", stream: true as const };
      let usage: OpenAI.Responses.ResponseUsage | undefined;
      for await (const event of await openai(url).responses.create(asked))
        if (event.type === "response.completed") usage = event.response.usage;
      return { input: usage?.input_tokens, output: usage?.output_tokens };
    },
  ],
  [
    "openai, embeddings",
    "embeddings of OpenAI",
    async (url) => {
      const asked = { model: "scripted", input: "x", encoding_format: "float" as const };
      const { usage } = await openai(url).embeddings.create(asked);
      return { input: usage.prompt_tokens, output: usage.total_tokens - usage.prompt_tokens };
    },
  ],
  [
    "@google/genai, generateContentStream",
    "an answer of Gemini, streamed as events",
    async (url) => {
      let reported: Reported = { input: undefined, output: undefined };
      const asked = { model: "scripted", contents: "Say it." };
      for await (const { usageMetadata } of await genai(url).models.generateContentStream(asked)) {
        const { promptTokenCount, candidatesTokenCount = 0, thoughtsTokenCount = 0 } = usageMetadata ?? {};
        reported = { input: promptTokenCount, output: candidatesTokenCount + thoughtsTokenCount };
      }
      return reported;
    },
  ],
  [
    "@google/genai, generateContent",
    "an answer of Gemini, whole",
    async (url) => {
      const { usageMetadata } = await genai(url).models.generateContent({ model: "scripted", contents: "x" });
      const { promptTokenCount, candidatesTokenCount = 0, thoughtsTokenCount = 0 } = usageMetadata ?? {};
      return { input: promptTokenCount, output: candidatesTokenCount + thoughtsTokenCount };
    },
  ],
  [
    "@google/generative-ai, generateContentStream",
    "an answer of Gemini, streamed as events",
    async (url) => {
      const model = new GoogleGenerativeAI("blue").getGenerativeModel(
        { model: "scripted" },
        { baseUrl: url },
      );
      const { response } = await model.generateContentStream("Say it.");
      const { promptTokenCount, totalTokenCount = 0 } = (await response).usageMetadata ?? {};
      // This SDK does not know the tokens of thoughts.
      return { input: promptTokenCount, output: totalTokenCount - (promptTokenCount ?? 0) };
    },
  ],
];

describe.each(["plain", "recommended"] as const)("through nginx with the site %s", (template) => {
  it.each(SDKS)("%s: the log and the metrics have the tokens that the SDK reports", async (_, name, ask) => {
    const answer = answerNamed(name);
    const { gateway, nginx } = await start(answer, { llm: {} }, template);
    const reported = await ask(nginx.url);
    expect(reported).toEqual({ input: answer.input, output: answer.output });
    const line = await gateway.requestLine();
    expect({ input: line["inputTokens"], output: line["outputTokens"] }).toEqual(reported);
    expect(line["model"]).toBe(answer.model);
    const metrics = await metricsOf(gateway);
    for (const direction of ["input", "output"] as const)
      expect(metrics.get(`sluice_llm_tokens_total{route="main",direction="${direction}"}`)).toBe(
        reported[direction],
      );
  });
});

it("the SDK of OpenAI reads the tokens that are left, and gets a 429 when they are used up", async () => {
  const tokens = [{ tokens: 100, per: "1h", reserve: 50, by: "ip" }];
  const answer = answerNamed("a chat completion of OpenAI, whole");
  const { backend, gateway, nginx } = await start(answer, { limits: { tokens } }, "plain");
  const { response } = await openai(nginx.url).chat.completions.create(chat).withResponse();
  expect(response.headers.get("x-ratelimit-limit-tokens")).toBe("100");
  expect(response.headers.get("x-ratelimit-remaining-tokens")).toBe("50");
  let refusal: unknown;
  await eventually(async () => {
    const client = openai(nginx.url);
    refusal = await client.chat.completions.create(chat).catch((error: unknown) => error);
    return refusal instanceof RateLimitError;
  }, "a refusal");
  const { headers, status } = refusal as RateLimitError;
  expect(status).toBe(429);
  expect(headers.get("x-ratelimit-remaining-tokens")).toBe("0");
  expect(Number(headers.get("retry-after"))).toBeGreaterThan(3000);
  // Two answers of 29 tokens leave no room for a third reserve.
  expect(backend.requests).toHaveLength(2);
  expect(gateway.requestLines().at(-1)).toMatchObject({ status: 429, err: { code: "rate_limited" } });
});
