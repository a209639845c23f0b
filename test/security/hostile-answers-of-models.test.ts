import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { askAdmin, metricsOf, startWithAdmin } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { openStream } from "../support/sse-client.ts";

const ASK = { method: "POST", body: "{}" };

/** Lets a backend answer with these bytes; returns what the gateway counted, and whether the client got all of them. */
async function answerWith(
  body: string | Buffer,
  contentType = "text/event-stream",
  llm: object = {},
  coding = "identity",
) {
  const backend = await startBackend();
  const main = { match: { path: "/*" }, upstream: backend.url, llm, stream: { comments: "off" } };
  const gateway = await startWithAdmin({ routes: { main } });
  const client = openStream(gateway.port, ASK);
  const request = await backend.nextRequest();
  request.openStream({ "Content-Type": contentType, "Content-Encoding": coding });
  request.emit(body);
  request.endStream();
  const end = await client.ended();
  const line = await gateway.requestLine();
  const samples = await metricsOf(gateway);
  const isUntouched = end === "clean" && client.body.equals(Buffer.from(body));
  const unmetered = [...samples]
    .map(([name]) => /sluice_llm_unmetered_total\{reason="(\w+)"\}/.exec(name)?.[1])
    .filter((reason) => reason !== undefined);
  const tokens = (direction: string) =>
    samples.get(`sluice_llm_tokens_total{route="main",direction="${direction}"}`);
  return { gateway, line, isUntouched, unmetered, input: tokens("input"), output: tokens("output") };
}

const usage = (prompt: string, completion: string) =>
  `data: {"choices":[],"usage":{"prompt_tokens":${prompt},"completion_tokens":${completion}}}\n\n`;

test.each([
  ["a negative number", usage("-5", "1")],
  ["a fraction", usage("1.5", "1")],
  ["a text", usage('"7"', "1")],
  ["an object", usage("{}", "1")],
  ["a boolean", usage("true", "1")],
  ["a number beyond the safe integers", usage("9007199254740993", "1")],
  ["a number that becomes Infinity", usage("1e999", "1")],
  ["a sum beyond the safe integers", usage("9007199254740991", "9007199254740991")],
  ["an invalid count that a valid one follows", usage("-5", "1") + usage("5", "1")],
])("a usage with %s is not counted", async (_, body) => {
  const { isUntouched, line, ...counted } = await answerWith(body);
  expect(isUntouched).toBe(true);
  expect(counted).toMatchObject({ input: 0, output: 0, unmetered: ["invalid"] });
  expect(line).not.toHaveProperty("inputTokens");
});

test.each([
  [
    "inside the text of an answer",
    '{"choices":[{"delta":{"content":"\\"usage\\":{\\"prompt_tokens\\":7}"}}]}',
  ],
  [
    "inside a text that is JSON",
    '{"text":"{\\"usage\\":{\\"prompt_tokens\\":7,\\"completion_tokens\\":7}}"}',
  ],
  [
    "in the arguments of a tool",
    '{"choices":[{"message":{"usage":{"prompt_tokens":7,"completion_tokens":7}}}]}',
  ],
  ["in an array", '[{"usage":{"prompt_tokens":7}}]'],
  ["as the key of a metadata object", '{"metadata":{"usage":{"prompt_tokens":7,"completion_tokens":7}}}'],
  ["as an array", '{"usage":[{"prompt_tokens":7}]}'],
  ["as a text", '{"usage":"prompt_tokens"}'],
  ["on the prototype", '{"__proto__":{"usage":{"prompt_tokens":7,"completion_tokens":7}}}'],
])("a usage %s does not count", async (_, json) => {
  for (const [body, type] of [
    [`data: ${json}\n\n`, "text/event-stream"],
    [`${json}\n`, "application/x-ndjson"],
  ] as const) {
    // An array of objects is an answer of Gemini, whose elements are read.
    if (json.startsWith("[") && type !== "text/event-stream") continue;
    const { isUntouched, ...counted } = await answerWith(body, type);
    expect(isUntouched).toBe(true);
    expect(counted).toMatchObject({ input: 0, output: 0, unmetered: ["no_usage"] });
  }
});

test("a usage in an event's other fields or comments does not count", async () => {
  const json = '{"usage":{"prompt_tokens":7,"completion_tokens":7}}';
  const { input, unmetered } = await answerWith(`: ${json}\nevent: ${json}\nid: ${json}\ndata: {}\n\n`);
  expect({ input, unmetered }).toEqual({ input: 0, unmetered: ["no_usage"] });
});

test.each([
  ["text/event-stream", (json: string) => `data: ${json}\n\n`],
  ["application/json", (json: string) => json],
  ["application/x-ndjson", (json: string) => `${json}\n`],
])("a part of %s beyond llm.maxEvent passes unread, and the next one is read", async (type, part) => {
  const long = part(`{"choices":[{"delta":{"content":"${"x".repeat(5000)}"}}],"usage":{"prompt_tokens":7}}`);
  const { isUntouched, input, unmetered } = await answerWith(long, type, { maxEvent: "1k" });
  expect({ isUntouched, input, unmetered }).toEqual({
    isUntouched: true,
    input: 0,
    unmetered: ["too_large"],
  });
  const next = await answerWith(long + part('{"usage":{"prompt_tokens":3,"completion_tokens":4}}'), type, {
    maxEvent: "1k",
  });
  expect(next).toMatchObject({ isUntouched: true, input: 3, output: 4, unmetered: [] });
});

test.each([
  ["text/event-stream", "data: ", "\n\n"],
  ["application/json", "", ""],
])("JSON of any depth in %s ends no request", async (type, before, after) => {
  for (const [open, close] of [
    ['{"usage":', "}"],
    ["[", "]"],
    ["[", ""],
    ["", "}]"],
  ] as const) {
    const depth = 100_000;
    const body = `${before}${open.repeat(depth)}1${close.repeat(depth)}${after}`;
    const { isUntouched, input, line } = await answerWith(body, type, { maxEvent: "4m" });
    expect({ isUntouched, input }).toEqual({ isUntouched: true, input: 0 });
    expect(line).not.toHaveProperty("err");
  }
});

test("compressed JSON that decodes to more than llm.maxEvent is not decoded any further", async () => {
  const json = Buffer.alloc(150_000_000, " ");
  json.write('{"usage":{"prompt_tokens":7,"completion_tokens":7}}');
  const bomb = gzipSync(json);
  expect(bomb.length).toBeLessThan(1_000_000);
  const before = process.memoryUsage.rss();
  const answer = await answerWith(bomb, "application/json", { maxEvent: "1m" }, "gzip");
  expect(process.memoryUsage.rss() - before).toBeLessThan(100_000_000);
  expect(answer).toMatchObject({ isUntouched: true, input: 0, unmetered: ["too_large"] });
  // Kept until here, so that the room of the text is not used again.
  expect(json).toHaveLength(150_000_000);
});

test("the name of a model is bounded, cannot control a terminal, and is no label", async () => {
  const name = `m\u001b[31m\u202e\u009b"} 1\\n${"x".repeat(10_000)}`;
  const { gateway, line } = await answerWith(
    `data: ${JSON.stringify({ model: name, usage: { prompt_tokens: 1, completion_tokens: 1 } })}\n\n`,
  );
  const model = String(line["model"]);
  expect(model.length).toBeLessThan(130);
  expect(model.startsWith('m\\u001b[31m\\u202e\\u009b"}')).toBe(true);
  expect((await askAdmin(gateway, "/metrics")).text).not.toContain("[31m");
});

test.each([
  ["JSON", (n: number) => `{"n":${n}}`],
  ["another text", (n: number) => `tick ${n}`],
])("a stream of a thousand events of %s without output is not parsed any further", async (_, data) => {
  const events = Array.from({ length: 1200 }, (_none, n) => `data: ${data(n)}\n\n`);
  const { line } = await answerWith(`${events.join("")}data: {"choices":[{"delta":{"content":"x"}}]}\n\n`);
  expect(line).not.toHaveProperty("firstTokenMs");
});
