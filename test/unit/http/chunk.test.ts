import { expect, test } from "vitest";
import { ROOM_BEFORE, ROOM_BEHIND, toChunk, toChunkText } from "../../../src/http/chunk.ts";

const SIZES = [1, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, 65_535, 65_536];

const part = (size: number): Buffer => Buffer.from(Array.from({ length: size }, (_, at) => at % 251));

function expected(bytes: Buffer): Buffer {
  const size = Buffer.from(`${bytes.length.toString(16)}\r\n`);
  return Buffer.concat([size, bytes, Buffer.from("\r\n")]);
}

test.each(SIZES)("a part of %i bytes is framed as RFC 9112 section 7.1 has it", (size) => {
  expect(toChunk(part(size)).equals(expected(part(size)))).toBe(true);
});

test.each(SIZES)("a part of %i bytes is framed as the same text, with and without room around it", (size) => {
  const bytes = part(size);
  const roomy = Buffer.concat([Buffer.alloc(ROOM_BEFORE, 1), bytes, Buffer.alloc(ROOM_BEHIND, 1)]);
  const isSame = (text: string) => Buffer.from(text, "latin1").equals(expected(bytes));
  expect(isSame(toChunkText(roomy, ROOM_BEFORE, ROOM_BEFORE + size))).toBe(true);
  expect(isSame(toChunkText(bytes, 0, size))).toBe(true);
  // One byte too few before the part, or after it.
  expect(isSame(toChunkText(roomy.subarray(1), ROOM_BEFORE - 1, ROOM_BEFORE - 1 + size))).toBe(true);
  expect(isSame(toChunkText(roomy.subarray(0, -1), ROOM_BEFORE, ROOM_BEFORE + size))).toBe(true);
});

test("bytes around a part stay unchanged if they are too few for its frame", () => {
  const bytes = Buffer.from("abcdefghij");
  toChunkText(bytes, 3, 6);
  expect(bytes.toString()).toBe("abcdefghij");
});
