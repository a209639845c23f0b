import { expect, test } from "vitest";
import { ZstdFrames } from "../../../src/http/zstd-frames.ts";
import { type Random, randomFrom } from "../../support/random-bytes.ts";

const CASES = Number(process.env["FUZZ_CASES"] ?? 500);
const SEED = Number(process.env["FUZZ_SEED"] ?? 7);

const littleEndian = (value: number, bytes: number): Buffer => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntLE(value, 0, bytes);
  return buffer;
};

function skippableFrame({ upTo }: Random): Buffer {
  const length = upTo(40);
  return Buffer.concat([littleEndian(0x184d2a50 + upTo(15), 4), littleEndian(length, 4), filled(length)]);
}

/** Bytes that look like the begin of a frame. */
const filled = (length: number): Buffer => Buffer.alloc(length, Buffer.from("28b52ffd", "hex"));

/** A frame with the fields that RFC 8878 section 3.1.1 allows; its blocks are not decoded. */
function frame({ upTo, chance }: Random): Buffer {
  const isSingle = chance(0.5);
  const hasChecksum = chance(0.5);
  const contentSizeFlag = upTo(3);
  const dictionaryFlag = upTo(3);
  const sizes = [isSingle ? 1 : 0, 2, 4, 8] as const;
  const header = (isSingle ? 0 : 1) + ([0, 1, 2, 4][dictionaryFlag] ?? 0) + (sizes[contentSizeFlag] ?? 0);
  const descriptor = (contentSizeFlag << 6) | (isSingle ? 0x20 : 0) | (hasChecksum ? 4 : 0) | dictionaryFlag;
  const parts = [Buffer.from("28b52ffd", "hex"), Buffer.from([descriptor]), filled(header)];
  for (let left = upTo(3); left >= 0; left--) {
    const type = upTo(2);
    const size = upTo(60);
    parts.push(
      littleEndian((size << 3) | (type << 1) | (left === 0 ? 1 : 0), 3),
      filled(type === 1 ? 1 : size),
    );
  }
  return Buffer.concat([...parts, filled(hasChecksum ? 4 : 0)]);
}

/** Returns where each part ends when they follow each other. */
function endsOf(parts: readonly Buffer[]): number[] {
  let end = 0;
  return parts.map(({ length }) => {
    end += length;
    return end;
  });
}

test("a body that arrives in any parts is cut at each end of a frame, and nowhere else", () => {
  const random = randomFrom(SEED);
  const { upTo, chance } = random;
  for (let left = CASES; left > 0; left--) {
    const all = Array.from({ length: 1 + upTo(4) }, () => (chance(0.3) ? skippableFrame : frame)(random));
    const body = Buffer.concat(all);
    const frameEnds = endsOf(all);
    const frames = new ZstdFrames();
    const arrived: Buffer[] = [];
    const pieces: Buffer[] = [];
    for (let at = 0; at < body.length; at = endsOf(arrived).at(-1) ?? 0) {
      arrived.push(body.subarray(at, at + 1 + upTo(chance(0.5) ? 3 : 200)));
      pieces.push(...frames.split(arrived.at(-1) as Buffer));
      expect(frames.isInside).toBe(!frameEnds.includes(endsOf(arrived).at(-1) as number));
    }
    expect(Buffer.concat(pieces).equals(body)).toBe(true);
    const cuts = new Set([...frameEnds, ...endsOf(arrived)]);
    expect(endsOf(pieces)).toEqual([...cuts].sort((a, b) => a - b));
  }
});

test("a body has no frame before its first byte, and an empty part changes nothing", () => {
  const frames = new ZstdFrames();
  expect(frames.split(Buffer.alloc(0))).toEqual([]);
  expect(frames.isInside).toBe(false);
});
