import { GoogleGenAI } from "@google/genai";
import { GoogleGenerativeAI } from "@google/generative-ai";
import { expect, it } from "vitest";
import { type BackendRequest, startBackend } from "../../support/backend.ts";
import { startGateway } from "../../support/gateway.ts";
import { openStream } from "../../support/sse-client.ts";

/** Google's SDKs, whose parsers cannot read comment lines; the route has all defaults but the heartbeat's time. */

const part = (text: string) =>
  `data: ${JSON.stringify({ candidates: [{ content: { role: "model", parts: [{ text }] } }] })}\r\n\r\n`;

/** Reads the texts of a stream of `@google/genai`. */
async function readByGenai(baseUrl: string) {
  const client = new GoogleGenAI({ apiKey: "blue", httpOptions: { baseUrl } });
  const stream = await client.models.generateContentStream({ model: "scripted", contents: "Say it." });
  const texts: (string | undefined)[] = [];
  for await (const { text } of stream) texts.push(text);
  return texts;
}

/** Reads the texts of a stream of `@google/generative-ai`. */
async function readByGenerativeAi(baseUrl: string) {
  const model = new GoogleGenerativeAI("blue").getGenerativeModel({ model: "scripted" }, { baseUrl });
  const { stream, response } = await model.generateContentStream("Say it.");
  // Rejects together with the stream.
  response.catch(() => undefined);
  const texts: string[] = [];
  for await (const chunk of stream) texts.push(chunk.text());
  return texts;
}

async function start(stream: object) {
  const backend = await startBackend();
  const gateway = await startGateway({
    routes: {
      main: { match: { path: "/*" }, upstream: backend.url, stream: { heartbeat: "20ms", ...stream } },
    },
  });
  const answer = async (request: BackendRequest) => {
    request.openStream();
    // Until the heartbeats of another stream have come.
    const witness = openStream(gateway.port);
    (await backend.nextRequest()).openStream();
    await witness.received(":\n:\n:\n");
    witness.leave();
    for (const text of ["one", "two", "three"]) request.emit(part(text));
    request.endStream();
  };
  return { gateway, answered: async () => answer(await backend.nextRequest()) };
}

const SDKS = [
  ["@google/genai", readByGenai],
  ["@google/generative-ai", readByGenerativeAi],
] as const;

it.each(SDKS)("%s reads each part of a silent stream", async (_name, read) => {
  const { gateway, answered } = await start({});
  const texts = read(gateway.url);
  await answered();
  expect(await texts).toEqual(["one", "two", "three"]);
});

it.each(SDKS)("control: %s cannot read comment lines", async (_name, read) => {
  const { gateway, answered } = await start({ comments: "on" });
  const texts = read(gateway.url).catch((error: unknown) => error);
  await answered();
  expect(await texts).not.toEqual(["one", "two", "three"]);
});
