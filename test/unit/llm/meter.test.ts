import fc from "fast-check";
import { expect, test } from "vitest";
import { llmSchema } from "../../../src/config/llm-schema.ts";
import { bodyOf } from "../../../src/llm/format.ts";
import { Meter } from "../../../src/llm/meter.ts";
import {
  CHAT_CHUNKS,
  CHAT_WITHOUT_USAGE,
  MODEL_ANSWERS,
  type ModelAnswer,
} from "../../support/model-answers.ts";

const headOf = (contentType: string, more: readonly string[] = [], status = 200) => ({
  status,
  reason: "OK",
  rawHeaders: ["Content-Type", contentType, ...more],
});

interface Metering {
  readonly contentType?: string;
  readonly maxEvent?: string;
  readonly isWhole?: boolean;
}

/** Feeds parts of a body, one a millisecond, from a buffer that is overwritten after each. */
function meterOf(
  parts: readonly Buffer[],
  { contentType = "text/event-stream", maxEvent, isWhole = true }: Metering = {},
) {
  const body = bodyOf("POST", headOf(contentType));
  if (body === undefined) throw new TypeError("expected a format");
  let now = 0;
  const meter = new Meter(body, llmSchema.parse({ maxEvent }), () => now);
  const room = Buffer.alloc(16 + Math.max(...parts.map(({ length }) => length)));
  for (const part of parts) {
    now++;
    part.copy(room, 8);
    meter.feed(room, 8, 8 + part.length);
    room.fill('"usage":{"prompt_tokens":999,"completion_tokens":999}}\n\n');
  }
  if (isWhole) meter.finish();
  return meter;
}

const meterText = (text: string, metering?: Metering) => meterOf([Buffer.from(text)], metering);

function countsOf(meter: Meter) {
  const { inputTokens: input, outputTokens: output, model } = meter;
  return { input, output, model, isFinal: meter.isFinal, unmetered: meter.answer().unmetered };
}

const expected = ({ input, output, model }: ModelAnswer) => ({
  input,
  output,
  model,
  isFinal: true,
  unmetered: undefined,
});

test.each(MODEL_ANSWERS)("reads $name", (answer) => {
  expect(countsOf(meterText(answer.body, answer))).toEqual(expected(answer));
});

test.each(MODEL_ANSWERS)("property: any chunks of $name give the same counts", (answer) => {
  const bytes = Buffer.from(answer.body);
  const cuts = fc.array(fc.nat(bytes.length), { maxLength: 40 });
  fc.assert(
    fc.property(cuts, (at) => {
      const ends = [...new Set([...at, bytes.length])].toSorted((a, b) => a - b).filter((end) => end > 0);
      const parts = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
      expect(countsOf(meterOf(parts, answer))).toEqual(expected(answer));
    }),
    { numRuns: 60 },
  );
});

test.each(MODEL_ANSWERS)(
  "each byte of $name apart gives the same counts and the time of its first output",
  (answer) => {
    const bytes = Buffer.from(answer.body);
    const meter = meterOf(
      Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
      answer,
    );
    expect(countsOf(meter)).toEqual(expected(answer));
    if (answer.first === undefined) {
      expect(meter.firstTokenMs).toBeUndefined();
      return;
    }
    const from = bytes.indexOf(answer.first);
    // The end of the event or JSON value that holds the first output.
    expect(meter.firstTokenMs).toBeGreaterThan(from);
    const events = answer.body.slice(answer.body.indexOf(answer.first));
    const next = events.search(/\r?\n\r?\n|\}\n[,{]|\}\n\n/);
    expect(meter.firstTokenMs).toBeLessThanOrEqual(from + Buffer.byteLength(events.slice(0, next)) + 4);
  },
);

test("reads each answer of events that is cut once, anywhere behind a whole event", () => {
  for (const answer of MODEL_ANSWERS.filter(({ contentType }) =>
    contentType.startsWith("text/event-stream"),
  )) {
    const bytes = Buffer.from(answer.body);
    const ends = [...answer.body.matchAll(/\r?\n\r?\n/g)].map(({ index, 0: end }) =>
      Buffer.byteLength(answer.body.slice(0, index + end.length)),
    );
    for (let cut = 1; cut < bytes.length; cut++) {
      const before = ends.filter((end) => end <= cut);
      const parts = [0, ...before].map((from, at) => bytes.subarray(from, before[at] ?? cut));
      expect(countsOf(meterOf([...parts, bytes.subarray(cut)], answer))).toEqual(expected(answer));
    }
  }
});

test.each([
  ["CR", "\r"],
  ["CRLF", "\r\n"],
])("reads events with %s line ends", (_, end) => {
  for (const answer of MODEL_ANSWERS.filter(({ contentType }) =>
    contentType.startsWith("text/event-stream"),
  )) {
    const body = answer.body.replaceAll("\r\n", "\n").replaceAll("\n", end);
    const bytes = Buffer.from(body);
    for (const size of [1, 7, bytes.length]) {
      const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_ignored, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      // A CR may be the first half of a CRLF, so the last event ends with the next byte.
      expect(countsOf(meterOf([...parts, Buffer.from(end)], answer))).toEqual(expected(answer));
    }
  }
});

test("reads an event whose JSON is in several data lines, behind a byte order mark and a comment", () => {
  const event =
    '\ufeff: hello\ndata: {"choices": [],\ndata:  "usage": {"prompt_tokens": 3,\ndata: "completion_tokens": 4}}\n\n';
  expect(meterText(event)).toMatchObject({ inputTokens: 3, outputTokens: 4 });
});

test("reads a line of an event whose other lines came before", () => {
  const lines = [
    'data: {"choices": [],\n',
    'data: "usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n\n',
  ];
  const parts = [...CHAT_CHUNKS.slice(0, 2), ...lines].map((part) => Buffer.from(part));
  expect(meterOf(parts)).toMatchObject({ inputTokens: 3, outputTokens: 4 });
});

test("a usage that each part repeats is final at the end of the answer", () => {
  const part =
    'data: {"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n';
  expect(countsOf(meterText(part))).toMatchObject({ input: 3, output: 4, isFinal: true });
  expect(countsOf(meterText(part, { isWhole: false }))).toMatchObject({
    isFinal: false,
    unmetered: "aborted",
  });
});

test("behind the first output, only bytes that may hold a usage are wanted", () => {
  const meter = meterText(CHAT_CHUNKS.slice(0, 2).join(""));
  const wants = (text: string) => meter.wants(Buffer.from(text));
  for (const chunk of CHAT_CHUNKS.slice(1, 4)) expect(wants(chunk)).toBe(false);
  expect(wants('{"usage" : null} {"usage":  null}')).toBe(false);
  expect(wants(CHAT_CHUNKS[4] ?? "")).toBe(true);
  expect(wants('{"usage":null} {"usage": {}}')).toBe(true);
  expect(wants('{"usageMetadata": {}}')).toBe(true);
  expect(wants('{"usages":{}} {"my_usage":{}} usage')).toBe(false);
});

test("without include_usage an answer of OpenAI has no usage, but a time of the first token", () => {
  const meter = meterText(CHAT_WITHOUT_USAGE);
  expect(countsOf(meter)).toMatchObject({ input: undefined, output: undefined, unmetered: "no_usage" });
  expect(meter.firstTokenMs).toBe(1);
  expect(meter.parts).toBe(5);
});

test("an answer that breaks off is aborted, and one that breaks off behind its usage is metered", () => {
  const behind = (count: number) =>
    meterOf(
      CHAT_CHUNKS.slice(0, count).map((part) => Buffer.from(part)),
      { isWhole: false },
    );
  expect(countsOf(behind(3))).toMatchObject({ input: undefined, isFinal: false, unmetered: "aborted" });
  expect(countsOf(behind(5))).toMatchObject({ input: 19, output: 10, isFinal: true, unmetered: undefined });
});

test("a message of Anthropic that breaks off keeps the input that it began with", () => {
  const { body } = MODEL_ANSWERS.find(
    ({ name }) => name === "a message of Anthropic, streamed",
  ) as ModelAnswer;
  const begun = body.slice(0, body.indexOf("event: message_delta"));
  for (const isWhole of [true, false])
    expect(countsOf(meterText(begun, { isWhole }))).toMatchObject({
      input: 25,
      output: 1,
      isFinal: false,
      unmetered: isWhole ? "no_usage" : "aborted",
    });
});

test.each([
  ["encoded", headOf("text/event-stream", ["Content-Encoding", "gzip"])],
  ["encoded", headOf("application/json", ["Content-Encoding", "gzip, br"])],
  ["json", headOf("application/json", ["Content-Encoding", "br"])],
  ["content_type", headOf("audio/mpeg")],
  ["content_type", { status: 200, reason: "OK", rawHeaders: [] }],
  ["events", headOf("Text/Event-Stream;charset=utf-8", ["Content-Encoding", "identity"])],
  ["lines", headOf("application/jsonl")],
  [undefined, headOf("application/json", [], 429)],
  [undefined, headOf("text/event-stream", [], 204)],
])("the format of a POST's response is %s", (format, head) => {
  expect(bodyOf("POST", head)?.format).toBe(format);
});

test("lists and stored answers that a GET returns are not metered, streams are", () => {
  expect(bodyOf("GET", headOf("application/json"))).toBeUndefined();
  expect(bodyOf("GET", headOf("text/html"))).toBeUndefined();
  expect(bodyOf("GET", headOf("text/event-stream"))?.format).toBe("events");
  expect(bodyOf("HEAD", headOf("text/event-stream"))).toBeUndefined();
});

const at = (ms: number, text: string) => ({ ms, text });

function speedOf(events: readonly { readonly ms: number; readonly text: string }[]) {
  let now = 0;
  const meter = new Meter({ format: "events", coding: undefined }, llmSchema.parse({}), () => now);
  for (const { ms, text } of events) {
    now = ms;
    const bytes = Buffer.from(`data: ${text}\n\n`);
    meter.feed(bytes, 0, bytes.length);
  }
  meter.finish();
  return meter.answer().outputPerSecond;
}

const HI = '{"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}';
const usage = (output: number, reasoning: number) =>
  `{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":${output},"completion_tokens_details":{"reasoning_tokens":${reasoning}}}}`;

test("the speed is that of the tokens after the first one", () => {
  expect(speedOf([at(500, HI), at(2500, usage(101, 0))])).toBe(50);
});

test("reasoning counts for the speed only if it was streamed", () => {
  const thought = '{"choices":[{"delta":{"reasoning_content":"Hm"},"finish_reason":null}]}';
  expect(speedOf([at(500, HI), at(2500, usage(1101, 1000))])).toBe(50);
  expect(speedOf([at(500, thought), at(600, HI), at(2500, usage(1101, 1000))])).toBe(550);
});

test("an answer that came at once has no speed", () => {
  expect(speedOf([at(500, HI), at(500, usage(101, 0))])).toBeUndefined();
  expect(speedOf([at(500, HI), at(900, usage(1, 0))])).toBeUndefined();
});
