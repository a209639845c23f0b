import { performance } from "node:perf_hooks";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { Meter } from "../../src/llm/meter.ts";
import { metricsOf, startWithAdmin } from "../support/admin.ts";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { breaks } from "../support/breaks.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { CHAT_CHUNKS, CHAT_WITHOUT_USAGE, MODEL_ANSWERS } from "../support/model-answers.ts";
import { randomFrom } from "../support/random-bytes.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const ASK = { method: "POST", body: "{}", path: "/v1/chat/completions" };

async function start(route: Readonly<Record<string, unknown>> = { llm: {} }) {
  const backend = await startBackend();
  const stream = { comments: "off", ...(route["stream"] as object | undefined) };
  const main = { match: { path: "/*" }, upstream: backend.url, ...route, stream };
  const gateway = await startWithAdmin({ routes: { main } });
  return { backend, gateway };
}

const SAMPLES = {
  input: 'sluice_llm_tokens_total{route="main",direction="input"}',
  output: 'sluice_llm_tokens_total{route="main",direction="output"}',
  first: 'sluice_llm_first_token_seconds_count{route="main"}',
  speed: 'sluice_llm_output_tokens_per_second_count{route="main"}',
};

async function llmSamples(gateway: GatewayFixture) {
  const samples = await metricsOf(gateway);
  const unmetered = [...samples].filter(([name]) => name.startsWith("sluice_llm_unmetered_total"));
  const values = Object.entries(SAMPLES).map(([name, sample]) => [name, samples.get(sample)]);
  return { ...Object.fromEntries(values), unmetered: Object.fromEntries(unmetered) } as Readonly<
    Record<string, unknown>
  >;
}

const unmeteredBy = (reason: string, count = 1) => ({
  [`sluice_llm_unmetered_total{reason="${reason}"}`]: count,
});

test.each(MODEL_ANSWERS)("$name passes unchanged, and its tokens are counted", async (answer) => {
  const { backend, gateway } = await start();
  const client = openStream(gateway.port, ASK);
  const request = await backend.nextRequest();
  request.openStream({ "Content-Type": answer.contentType });
  const bytes = Buffer.from(answer.body);
  const random = randomFrom(bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random.upTo(200);
    request.emit(bytes.subarray(at, at + size));
    at += size;
    // Most parts reach the gateway by themselves.
    await new Promise(setImmediate);
  }
  request.endStream();
  expect(await client.ended()).toBe("clean");
  expect(client.body.equals(bytes)).toBe(true);
  const { input, output, model, first } = answer;
  const line = await gateway.requestLine();
  expect(line).toMatchObject({ inputTokens: input, outputTokens: output, model });
  expect(typeof line["firstTokenMs"]).toBe(first === undefined ? "undefined" : "number");
  const samples = await llmSamples(gateway);
  expect(samples).toMatchObject({ input, output, unmetered: {} });
  expect(samples["first"]).toBe(first === undefined ? undefined : 1);
});

test("the time to the first token is that to the first output, not to the head or the role", async () => {
  const { backend, gateway } = await start();
  const client = openStream(gateway.port, ASK);
  const request = await backend.nextRequest();
  const from = performance.now();
  request.openStream();
  request.emit(CHAT_CHUNKS[0] ?? "");
  await client.received('"role":"assistant"');
  await eventually(() => performance.now() - from > 80, "80 ms");
  const waited = performance.now() - from;
  for (const chunk of CHAT_CHUNKS.slice(1)) request.emit(chunk);
  request.endStream();
  await client.ended();
  const line = await gateway.requestLine();
  expect(line["firstTokenMs"]).toBeGreaterThanOrEqual(Math.floor(waited));
  expect(line["firstByteMs"]).toBeLessThan(line["firstTokenMs"] as number);
});

test("an answer without usage is unmetered, as is one whose client leaves", async () => {
  const { backend, gateway } = await start();
  const whole = openStream(gateway.port, ASK);
  const first = await backend.nextRequest();
  first.openStream();
  first.emit(CHAT_WITHOUT_USAGE);
  first.endStream();
  await whole.ended();
  await gateway.requestLine();
  expect(await llmSamples(gateway)).toMatchObject({ first: 1, unmetered: unmeteredBy("no_usage") });

  const leaver = openStream(gateway.port, ASK);
  const second = await backend.nextRequest();
  second.openStream();
  second.emit(CHAT_CHUNKS.slice(0, 3).join(""));
  await leaver.received("日本");
  leaver.leave();
  expect(await gateway.requestLine(1)).toMatchObject({ endReason: "client_gone" });
  expect((await llmSamples(gateway))["unmetered"]).toEqual({
    ...unmeteredBy("no_usage"),
    ...unmeteredBy("aborted"),
  });
});

test("with onClientGone: drain the tokens count when the backend ends, without the client", async () => {
  const { backend, gateway } = await start({ llm: {}, stream: { onClientGone: "drain" } });
  const client = openStream(gateway.port, ASK);
  const request = await backend.nextRequest();
  request.openStream();
  request.emit(CHAT_CHUNKS[0] ?? "");
  await client.received("assistant");
  client.leave();
  await gateway.requestLine();
  expect(await llmSamples(gateway)).toMatchObject({ input: undefined, unmetered: {} });
  for (const chunk of CHAT_CHUNKS.slice(1)) request.emit(chunk);
  request.endStream();
  await eventually(async () => (await llmSamples(gateway))["input"] === 19, "the tokens");
  expect(await llmSamples(gateway)).toMatchObject({ output: 10, first: 1, unmetered: {} });
});

const CODERS = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };

test.each(["gzip", "deflate", "br"] as const)(
  "JSON in %s passes as it is, and is measured",
  async (coding) => {
    const { backend, gateway } = await start();
    const client = openStream(gateway.port, ASK);
    const request = await backend.nextRequest();
    const coded = CODERS[coding]('{"usage":{"prompt_tokens":1,"completion_tokens":2}}');
    request.openStream({ "Content-Type": "application/json", "Content-Encoding": coding });
    for (const byte of coded) request.emit(Buffer.of(byte));
    request.endStream();
    await client.ended();
    expect(client.body.equals(coded)).toBe(true);
    expect(client.field("content-encoding")).toBe(coding);
    expect(await gateway.requestLine()).toMatchObject({ inputTokens: 1, outputTokens: 2 });
    expect(await llmSamples(gateway)).toMatchObject({ input: 1, output: 2, unmetered: {} });
  },
);

test.each([
  [
    "a stream that was not decoded",
    "application/x-ndjson",
    "gzip",
    gzipSync('{"eval_count":1,"done":true}\n'),
  ],
  ["JSON in an unknown coding", "application/json", "compress", Buffer.from("x")],
  ["JSON in two codings", "application/json", "gzip, br", Buffer.from("x")],
  [
    "JSON that is not of its coding",
    "application/json",
    "gzip",
    Buffer.from('{"usage":{"prompt_tokens":1}}'),
  ],
])("%s is unmetered, and passes as it is", async (_, type, coding, body) => {
  const { backend, gateway } = await start();
  const client = openStream(gateway.port, ASK);
  const request = await backend.nextRequest();
  request.respond(200, { "Content-Type": type, "Content-Encoding": coding }, body);
  await client.ended();
  expect(client.body.equals(body)).toBe(true);
  await gateway.requestLine();
  expect(await llmSamples(gateway)).toMatchObject({ input: 0, unmetered: unmeteredBy("encoded") });
});

test("errors of the backend, lists and other responses than answers are not measured", async () => {
  const { backend, gateway } = await start();
  const answers: readonly [method: string, answer: (request: BackendRequest) => void][] = [
    ["POST", (request) => request.respond(429, { "Content-Type": "application/json" }, '{"error":{}}')],
    ["GET", (request) => request.respond(200, { "Content-Type": "application/json" }, '{"data":[]}')],
    ["HEAD", (request) => request.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")],
    ["POST", (request) => request.send("HTTP/1.1 204 No Content\r\n\r\n")],
  ];
  for (const [index, [method, answer]] of answers.entries()) {
    const client = openStream(gateway.port, { ...ASK, method });
    answer(await backend.nextRequest());
    await client.ended();
    await gateway.requestLine(index);
  }
  expect(await llmSamples(gateway)).toMatchObject({ input: undefined, unmetered: {} });
});

test("the tokens of a shared stream count once, for all its clients", async () => {
  const { backend, gateway } = await start({ llm: {}, shared: { linger: "10ms" } });
  const clients = [1, 2, 3].map(() => openStream(gateway.port, { path: "/s", headers: EVENT_SOURCE }));
  const request = await backend.nextRequest();
  request.openStream();
  for (const chunk of CHAT_CHUNKS) request.emit(chunk);
  for (const client of clients) await client.received("[DONE]");
  for (const client of clients) client.leave();
  await eventually(async () => (await llmSamples(gateway))["input"] !== undefined, "the tokens");
  expect(await llmSamples(gateway)).toMatchObject({ input: 19, output: 10, first: 1, unmetered: {} });
  expect(backend.requests).toHaveLength(1);
});

test("the answers of a mock are measured", async () => {
  const events = CHAT_CHUNKS.map((chunk) => ({ data: chunk.slice("data: ".length).trim() }));
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/*" }, mock: { events }, llm: {} } },
  });
  const client = openStream(gateway.port, ASK);
  await client.received("[DONE]");
  await client.ended();
  expect(await gateway.requestLine()).toMatchObject({ inputTokens: 19, outputTokens: 10 });
});

test("a fault while an answer is read ends that answer alone, and the next one is measured", async () => {
  const { backend, gateway } = await start();
  const ask = async () => {
    const client = openStream(gateway.port, ASK);
    const request = await backend.nextRequest();
    request.openStream();
    return { client, request };
  };
  const other = await ask();
  breaks(Meter.prototype, "feed");
  const broken = await ask();
  broken.request.emit(CHAT_CHUNKS[0] ?? "");
  expect(await broken.client.ended()).not.toBe("clean");
  await broken.request.connection.closed;
  other.request.emit(CHAT_CHUNKS.join(""));
  other.request.endStream();
  expect(await other.client.ended()).toBe("clean");
  expect(await gateway.requestLine()).toMatchObject({ level: 50, err: { code: "internal_error" } });
  expect(await gateway.requestLine(1)).toMatchObject({ inputTokens: 19, outputTokens: 10 });
});

test("a route without llm has no field and no metric of models", async () => {
  const { backend, gateway } = await start({});
  const client = openStream(gateway.port, ASK);
  const request = await backend.nextRequest();
  request.openStream();
  request.emit(CHAT_CHUNKS.join(""));
  request.endStream();
  await client.ended();
  const line = await gateway.requestLine();
  for (const field of ["inputTokens", "outputTokens", "firstTokenMs", "model"])
    expect(line).not.toHaveProperty(field);
  expect(await llmSamples(gateway)).toMatchObject({ input: undefined, first: undefined, unmetered: {} });
});
