import zlib from "node:zlib";
import { expect, test } from "vitest";
import { createDecoder } from "../../../src/probe/decoder.ts";

/** Compresses each event and flushes after it, one piece per event. */
async function compressed(
  stream: zlib.Gzip | zlib.BrotliCompress,
  events: readonly string[],
): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  let current: Buffer[] = [];
  stream.on("data", (bytes: Buffer) => current.push(bytes));
  for (const event of events) {
    stream.write(event);
    await new Promise<void>((resolve) => {
      stream.flush(() => resolve());
    });
    pieces.push(Buffer.concat(current));
    current = [];
  }
  return pieces;
}

const EVENTS = ["data: one\n\n", "data: two\n\n", "data: three\n\n"];

test.each([
  ["gzip", () => zlib.createGzip()],
  ["deflate", () => zlib.createDeflate()],
  // Without the zlib format, as some servers send it and browsers read it.
  ["deflate", () => zlib.createDeflateRaw()],
  ["br", () => zlib.createBrotliCompress({ params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } })],
  ...("createZstdCompress" in zlib
    ? [["zstd", () => (zlib as unknown as { createZstdCompress(): zlib.Gzip }).createZstdCompress()] as const]
    : []),
] as const)("what was flushed comes out with the time of its read: %s", async (coding, create) => {
  const output: [text: string, at: number][] = [];
  const decoder = createDecoder(
    coding,
    (bytes, at) => output.push([bytes.toString(), at]),
    () => {},
  );
  const pieces = await compressed(create() as zlib.Gzip, EVENTS);
  // All at once: the decoder uses other threads, and must not mix up the times.
  for (const [at, piece] of pieces.entries()) decoder?.write(piece, at);
  await decoder?.idle();
  expect(output).toEqual(EVENTS.map((event, at) => [event, at]));
  decoder?.close();
});

test("invalid compressed bytes are reported once; an unknown coding has no decoder", async () => {
  const failed = new Promise<Error>((resolve) => {
    createDecoder("gzip", () => {}, resolve)?.write(Buffer.from("data: plain\n\n"), 0);
  });
  expect((await failed).message).toContain("header");
  expect(
    createDecoder(
      "constructor",
      () => {},
      () => {},
    ),
  ).toBeUndefined();
});
