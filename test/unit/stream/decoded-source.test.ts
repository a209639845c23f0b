import { setImmediate as turn } from "node:timers/promises";
import zlib from "node:zlib";
import { expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import type { BorrowedBytes, Sink, Source } from "../../../src/http/source.ts";
import { decodedStream } from "../../../src/stream/decoded-source.ts";
import { CODINGS, COMPRESSORS, compressedParts } from "../../support/compressed.ts";
import { eventually } from "../../support/eventually.ts";
import { fakeExchange } from "../../support/fake-exchange.ts";
import { type Random, randomFrom } from "../../support/random-bytes.ts";

const CASES = Number(process.env["FUZZ_CASES"] ?? 40);
const SEED = Number(process.env["FUZZ_SEED"] ?? 7);

/** A backend's body: its bytes are invalid after each read, as those of the process's read buffer are. */
class FakeSource implements Source {
  readonly head;
  sink: Sink | undefined;
  isPaused = false;
  isCancelled = false;

  constructor(rawHeaders: readonly string[]) {
    this.head = { status: 200, reason: "OK", rawHeaders };
  }

  start(sink: Sink): void {
    this.sink = sink;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  cancel(): void {
    this.isCancelled = true;
  }

  onClose(): void {}

  /** Reads a part when the gateway accepts it. */
  async read(part: Buffer): Promise<void> {
    await eventually(() => !this.isPaused, "a backend that is read");
    const lent = Buffer.concat([Buffer.alloc(16), part, Buffer.alloc(16)]);
    this.sink?.onData(lent, 16, 16 + part.length);
    lent.fill(0xaa);
  }
}

/** Collects a decoded body. */
class Collector implements Sink {
  readonly parts: Buffer[] = [];
  end: "clean" | Error | undefined;
  ends = 0;
  trailers: readonly string[] = [];
  onPart: () => void = () => {};

  onData(bytes: BorrowedBytes, start: number, end: number): void {
    if (this.end !== undefined) throw new Error("data behind the end");
    this.parts.push(Buffer.from(bytes.subarray(start, end)));
    this.onPart();
  }

  onEnd(trailers: readonly string[]): void {
    this.trailers = trailers;
    this.#ended("clean");
  }

  onError(error: Error): void {
    this.#ended(error);
  }

  get text(): string {
    return Buffer.concat(this.parts).toString();
  }

  async ended(): Promise<"clean" | Error> {
    return (await eventually(() => this.end, "the end of the body")) as "clean" | Error;
  }

  #ended(end: "clean" | Error): void {
    this.end = end;
    this.ends++;
  }
}

const EVENT_STREAM = ["Content-Type", "text/event-stream"];

function open(coding: string) {
  const exchange = fakeExchange();
  const source = new FakeSource([...EVENT_STREAM, "Content-Encoding", coding]);
  const stream = decodedStream(exchange, source);
  expect(stream).not.toBe(source);
  const collector = new Collector();
  stream.start(collector);
  return { exchange, source, stream, collector };
}

/** Returns `bytes` cut at random places. */
function cutAnywhere(bytes: Buffer, { upTo, chance }: Random): Buffer[] {
  const most = chance(0.3) ? 1 : 1 + upTo(60);
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + upTo(most - 1));
    parts.push(bytes.subarray(at, end));
    at = end;
  }
  return parts;
}

function randomEvents({ upTo, chance }: Random): string[] {
  const events: string[] = [];
  for (let left = 1 + upTo(8); left > 0; left--) {
    const data = chance(0.1)
      ? "x".repeat(upTo(50_000))
      : Array.from({ length: upTo(200) }, () => String.fromCharCode(32 + upTo(90))).join("");
    events.push(`data: ${data}\n\n`);
  }
  return events;
}

/** The same text in other forms of a coding, which its specification allows. */
const FORMS: readonly (readonly [
  name: string,
  coding: string,
  encode: (events: string[]) => Promise<Buffer>,
])[] = [
  ...CODINGS.map(
    (coding) =>
      [
        coding,
        coding,
        async (events: string[]) => Buffer.concat(await compressedParts(coding, events)),
      ] as const,
  ),
  [
    "deflate without the zlib format",
    "deflate",
    async (events) => Buffer.concat(await compressedParts("deflate", events, () => zlib.createDeflateRaw())),
  ],
  [
    "a gzip member for each event",
    "x-gzip",
    async (events) => Buffer.concat(events.map((one) => zlib.gzipSync(one))),
  ],
  [
    "gzip with zeros behind it",
    "gzip",
    async (events) => Buffer.concat([zlib.gzipSync(events.join("")), Buffer.alloc(40)]),
  ],
  ...(CODINGS.includes("zstd")
    ? [
        ["a zstd frame for each event", "zstd", zstdFrames({})] as const,
        [
          "zstd frames with checksums",
          "zstd",
          zstdFrames({ params: { [constant("ZSTD_c_checksumFlag")]: 1 } }),
        ] as const,
        ["zstd frames between skippable frames", "zstd", skippableFrames] as const,
      ]
    : []),
];

function constant(name: string): number {
  return (zlib.constants as unknown as Record<string, number>)[name] as number;
}

function zstdFrames(options: object) {
  return async (events: string[]) => {
    const frames: Buffer[] = [];
    for (const one of events) frames.push(...(await compressedParts("zstd", [one], () => zstd(options))));
    return Buffer.concat(frames);
  };
}

const zstd = (options: object) => (COMPRESSORS["zstd"] as (typeof COMPRESSORS)[string])(options);

async function skippableFrames(events: string[]): Promise<Buffer> {
  const { zstdCompressSync } = zlib as unknown as { zstdCompressSync(text: string): Buffer };
  const skippable = (bytes: number) => {
    const frame = Buffer.alloc(8 + bytes, 0x28);
    frame.writeUInt32LE(0x184d2a50 + (bytes % 16));
    frame.writeUInt32LE(bytes, 4);
    return frame;
  };
  return Buffer.concat(events.flatMap((one, at) => [skippable(at * 7), zstdCompressSync(one)]));
}

for (const [name, coding, encode] of FORMS) {
  test(`${name}: cut anywhere, the same text comes out`, async () => {
    const random = randomFrom(SEED);
    for (let left = CASES; left > 0; left--) {
      const events = randomEvents(random);
      const { source, collector } = open(coding);
      for (const part of cutAnywhere(await encode(events), random)) await source.read(part);
      source.sink?.onEnd(["X-Sum", "1"]);
      expect(await collector.ended()).toBe("clean");
      expect(collector.text === events.join("")).toBe(true);
      expect(collector.ends).toBe(1);
      expect(collector.trailers).toEqual(["X-Sum", "1"]);
      expect(source.isPaused).toBe(false);
    }
  });
}

for (const coding of CODINGS) {
  test(`${coding}: an event comes out with the bytes that complete it`, async () => {
    const { source, collector } = open(coding);
    const events = ["data: 1\n\n", "data: 2\n\n", `data: ${"3".repeat(10_000)}\n\n`];
    let text = "";
    for (const [at, piece] of (await compressedParts(coding, events)).entries()) {
      await source.read(piece);
      text += events[at] ?? "";
      await eventually(() => collector.text === text, "the event");
    }
  });

  test(`${coding}: a body that ends early is an error at any byte, behind all that was flushed`, async () => {
    const random = randomFrom(SEED);
    const events = ["data: one\n\n", "data: two\n\n", "data: three\n\n"];
    const pieces = await compressedParts(coding, events);
    const body = Buffer.concat(pieces);
    for (let length = 1; length < body.length; length++) {
      const { source, collector } = open(coding);
      for (const part of cutAnywhere(body.subarray(0, length), random)) await source.read(part);
      source.sink?.onEnd([]);
      const end = await collector.ended();
      expect([length, end]).toEqual([length, expect.any(ProxyError)]);
      expect(end).toMatchObject({ code: "backend_protocol_error" });
      expect((end as Error).message).toContain(`Content-Encoding ${coding}: `);
      const flushed = events.filter((_, at) => Buffer.concat(pieces.slice(0, at + 1)).length <= length);
      expect(collector.text.startsWith(flushed.join(""))).toBe(true);
      expect(source.isCancelled).toBe(true);
    }
  });

  test(`${coding}: a break of the backend comes behind all that had arrived`, async () => {
    const { source, collector, stream } = open(coding);
    const events = [`data: ${"1".repeat(50_000)}\n\n`, "data: 2\n\n"];
    stream.pause();
    for (const piece of (await compressedParts(coding, events)).slice(0, 2)) await source.read(piece);
    source.sink?.onError(new Error("reset"));
    await turn();
    expect(collector.parts).toEqual([]);
    stream.resume();
    expect(await collector.ended()).toMatchObject({ message: "reset" });
    expect(collector.text).toBe(events.join(""));
  });

  test(`${coding}: a changed byte is an error or changes the text, and never ends twice`, async () => {
    const random = randomFrom(SEED);
    const events = randomEvents(random);
    const body = Buffer.concat(await compressedParts(coding, events));
    const isChecked = coding === "gzip" || coding === "deflate";
    for (let left = CASES; left > 0; left--) {
      const changed = Buffer.from(body);
      const at = random.upTo(changed.length - 1);
      changed[at] = (changed[at] ?? 0) ^ (1 << random.upTo(7));
      const { source, collector } = open(coding);
      for (const part of cutAnywhere(changed, random)) if (!source.isCancelled) await source.read(part);
      source.sink?.onEnd([]);
      const end = await collector.ended();
      if (end === "clean" && isChecked) expect(collector.text).toBe(events.join(""));
      await turn();
      expect(collector.ends).toBe(1);
    }
  });

  test(`${coding}: an empty body ends cleanly`, async () => {
    const { source, collector } = open(coding);
    source.sink?.onEnd([]);
    expect(await collector.ended()).toBe("clean");
  });

  test(`${coding}: nothing is called after a cancellation`, async () => {
    const { source, collector, stream } = open(coding);
    const closed: string[] = [];
    stream.onClose(() => closed.push("closed"));
    for (const piece of await compressedParts(coding, ["data: 1\n\n"])) await source.read(piece);
    stream.cancel();
    stream.cancel();
    source.sink?.onEnd([]);
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(collector).toMatchObject({ parts: [], end: undefined });
    expect(source.isCancelled).toBe(true);
    expect(closed).toEqual(["closed"]);
  });

  test(`${coding}: a body that decodes to a thousand times its size waits for its reader`, async () => {
    const { source, collector, stream } = open(coding);
    // The compressed body of 64 MiB of zeros.
    const body = Buffer.concat(await compressedParts(coding, [Buffer.alloc(64 * 1024 * 1024)]));
    collector.onPart = () => stream.pause();
    await source.read(body.subarray(0, 64 * 1024));
    await eventually(() => collector.parts.length === 1, "the first part");
    for (let turns = 0; turns < 200; turns++) await turn();
    expect(collector.parts).toHaveLength(1);
    for (let parts = 2; parts < 50; parts++) {
      stream.resume();
      await eventually(() => collector.parts.length === parts, "the next part");
    }
    expect(Math.max(...collector.parts.map(({ length }) => length))).toBeLessThanOrEqual(4096);
    stream.cancel();
  });
}

for (const [name, coding, garbage] of [
  ["behind br", "br", "garbage"],
  ["behind deflate", "deflate", "garbage"],
] as const) {
  test(`bytes ${name} are ignored, as by browsers`, async () => {
    const { source, collector } = open(coding);
    const body = Buffer.concat(await compressedParts(coding, ["data: 1\n\n"]));
    await source.read(Buffer.concat([body, Buffer.from(garbage)]));
    for (let left = 30; left > 0; left--) await source.read(Buffer.alloc(1024));
    await eventually(() => collector.text === "data: 1\n\n", "the event");
    await source.read(Buffer.from(garbage));
    expect(collector.end).toBeUndefined();
    source.sink?.onEnd([]);
    expect(await collector.ended()).toBe("clean");
    expect(collector.text).toBe("data: 1\n\n");
  });
}

test("bytes behind gzip that are neither a member nor zeros are an error, behind the text", async () => {
  const { source, collector } = open("gzip");
  await source.read(zlib.gzipSync("data: 1\n\n"));
  await source.read(Buffer.from("garbage"));
  expect(await collector.ended()).toMatchObject({ code: "backend_protocol_error" });
  expect(collector.text).toBe("data: 1\n\n");
});

// With Node's default, the decoder works on while its output waits, and drops that output at the error.
test("a slow reader gets all that was decoded before an error", async () => {
  const { source, collector, stream } = open("gzip");
  const text = `data: ${"x".repeat(10_000)}\n\n`;
  const [first = Buffer.alloc(0)] = await compressedParts("gzip", [text]);
  stream.pause();
  await source.read(first);
  await source.read(Buffer.from("this is no deflate block"));
  for (let turns = 0; turns < 100; turns++) await turn();
  stream.resume();
  expect(await collector.ended()).toMatchObject({ code: "backend_protocol_error" });
  expect(collector.text).toBe(text);
});

const ZSTD_WINDOWS = [
  [23, "is decoded", "clean"],
  [24, "is refused", expect.any(ProxyError)],
] as const;

for (const [log, outcome, end] of CODINGS.includes("zstd") ? ZSTD_WINDOWS : []) {
  test(`a zstd frame with a window of ${2 ** (log - 20)} MiB ${outcome}`, async () => {
    const { source, collector } = open("zstd");
    const create = () => zstd({ params: { [constant("ZSTD_c_windowLog")]: log } });
    for (const piece of await compressedParts("zstd", ["data: 1\n\n"], create))
      if (!source.isCancelled) await source.read(piece);
    source.sink?.onEnd([]);
    expect(await collector.ended()).toEqual(end);
  });
}

test("an error in the reader ends the stream with it", async () => {
  const { source, collector } = open("gzip");
  collector.onPart = () => {
    throw new Error("broken reader");
  };
  await source.read(zlib.gzipSync("data: 1\n\n"));
  expect(await collector.ended()).toMatchObject({
    code: "internal_error",
    cause: { message: "broken reader" },
  });
  expect(source.isCancelled).toBe(true);
});

test("the end of the exchange releases the decoder", async () => {
  const { exchange, source, collector } = open("gzip");
  exchange.settle("client_gone");
  await source.read(zlib.gzipSync("data: 1\n\n"));
  for (let turns = 0; turns < 20; turns++) await turn();
  expect(source.isCancelled).toBe(true);
  expect(collector.parts).toEqual([]);
});
