import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteSearch } from "../../../src/llm/byte-search.ts";

test("property: finds what Buffer.indexOf finds, in any part of a buffer", () => {
  // Few letters, so that parts of the text are frequent.
  const letters = fc.constantFrom(...'usage"');
  fc.assert(
    fc.property(
      fc.string({ unit: letters, maxLength: 80 }),
      fc.constantFrom('"usage', "age", "aga", "g"),
      fc.nat(80),
      fc.nat(80),
      (hay, needle, a, b) => {
        const bytes = Buffer.from(hay);
        const [start, end] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)];
        const at = bytes.subarray(start, end).indexOf(needle);
        expect(new ByteSearch(needle).indexIn(bytes, start, end)).toBe(at < 0 ? -1 : start + at);
      },
    ),
    { numRuns: 5000 },
  );
});
