import { expect, test } from "vitest";
import { returning, takeSendBuffer } from "../../../src/http/send-buffers.ts";

const KiB = 1024;

test("a large buffer is used again after its write, for a part of about the same size", () => {
  const first = takeSendBuffer(60 * KiB);
  expect(first.length).toBe(64 * KiB);
  returning(first)?.(null);
  expect(takeSendBuffer(20 * KiB)).not.toBe(first);
  expect(takeSendBuffer(63 * KiB)).toBe(first);
  expect(takeSendBuffer(63 * KiB)).not.toBe(first);
});

test("a buffer is not used again if its write failed: the socket may still read it", () => {
  const buffer = takeSendBuffer(40 * KiB);
  returning(buffer)?.(new Error("reset"));
  expect(takeSendBuffer(40 * KiB)).not.toBe(buffer);
});

test("a buffer is at most twice as large as its part, or one that is not used again", () => {
  for (const length of [1, 100, 4095, 4096, 4097, 8192, 8193, 12_345, 65_548, 81_920, 81_921, 1_000_000]) {
    const buffer = takeSendBuffer(length);
    expect(buffer.length).toBeGreaterThanOrEqual(length);
    expect(buffer.length).toBeLessThanOrEqual(2 * length);
    if (length < 4096 || length > 80 * KiB) expect(returning(buffer)).toBeUndefined();
  }
});

test("at most 2 MiB wait for another use", () => {
  const buffers = Array.from({ length: 100 }, () => takeSendBuffer(64 * KiB));
  for (const buffer of buffers) returning(buffer)?.(undefined);
  const again = new Set(Array.from({ length: 100 }, () => takeSendBuffer(64 * KiB)));
  const reused = buffers.filter((buffer) => again.has(buffer));
  expect(reused.length).toBeGreaterThan(0);
  expect(reused.length).toBeLessThanOrEqual(32);
});
