import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteOrderMark } from "../../../src/sse/byte-order-mark.ts";

const MARK = Buffer.from("\ufeff");
const start = fc.constantFrom(
  ...[[], [0xef], [0xef, 0xbb], [...MARK], [...MARK, ...MARK], [0xef, 0xbb, 0x41], [0x41]],
);

test("a mark at the start of a stream is removed and every other byte is kept, whatever the chunks are", () => {
  fc.assert(
    fc.property(
      start,
      fc.uint8Array({ maxLength: 8 }),
      fc.array(fc.nat(12), { maxLength: 4 }),
      (first, rest, cuts) => {
        const bytes = Buffer.from([...first, ...rest]);
        const points = [0, ...cuts.map((at) => at % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
        const mark = new ByteOrderMark();
        const out = points.slice(1).map((end, index) => mark.strip(bytes.subarray(points[index], end)));
        const expected = bytes.subarray(0, 3).equals(MARK) ? bytes.subarray(3) : bytes;
        expect(Buffer.concat([...out, mark.rest()]).equals(expected)).toBe(true);
      },
    ),
    { numRuns: 3000 },
  );
});
