import fc from "fast-check";
import { expect, test } from "vitest";
import { GrowingBytes } from "../../../src/base/growing-bytes.ts";

test("bytes in any parts are kept in their order", () => {
  const part = fc.uint8Array({ maxLength: 700 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
      const growing = new GrowingBytes();
      for (const bytes of parts) growing.add(bytes);
      expect(growing.bytes).toEqual(Buffer.concat(parts));
      expect(growing.length).toBe(Buffer.concat(parts).length);
    }),
  );
});

test("65,536 single bytes are copied a few times, and take at most twice their room", () => {
  const growing = new GrowingBytes();
  const rooms = new Set<ArrayBufferLike>();
  for (let byte = 0; byte < 65_536; byte++) {
    growing.add(Buffer.from([byte & 0xff]));
    rooms.add(growing.bytes.buffer);
  }
  expect(growing.length).toBe(65_536);
  expect(rooms.size).toBeLessThan(12);
  expect(growing.bytes.buffer.byteLength).toBeLessThanOrEqual(2 * 65_536);
});
