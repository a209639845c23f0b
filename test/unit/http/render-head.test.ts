import fc from "fast-check";
import { expect, test } from "vitest";
import { renderFields } from "../../../src/http/render-head.ts";

test("each field is a line behind a CRLF, in order and spelling", () => {
  expect(renderFields([])).toBe("");
  expect(renderFields(["Host", "a", "x-b", "", "X-B", "ÿ\t~"])).toBe("\r\nHost: a\r\nx-b: \r\nX-B: ÿ\t~");
});

test("any fields give as many lines as fields, or an error", () => {
  const name = fc.oneof(fc.constantFrom("Host", "x-a", "X_B"), fc.string({ unit: "binary", maxLength: 4 }));
  const value = fc.oneof(
    fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]*$/),
    fc.constantFrom("a\r", "\nb", "a\r\nB: c", "\0", "\x7f", "\u010a\u010d"),
    fc.string({ unit: "binary", maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), (fields) => {
      const areSafe = fields.every(
        ([n, v]) => /^[!#$%&'*+.^_`|~\w-]+$/.test(n) && /^[\t\x20-\x7e\x80-\xff]*$/.test(v),
      );
      if (!areSafe) {
        expect(() => renderFields(fields.flat())).toThrow(TypeError);
        return;
      }
      const bytes = Buffer.from(renderFields(fields.flat()), "latin1").toString("latin1");
      expect(bytes.split("\r\n").slice(1)).toEqual(fields.map(([n, v]) => `${n}: ${v}`));
    }),
    { numRuns: 2_000 },
  );
});
