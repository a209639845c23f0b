import { expect, test } from "vitest";
import { acceptsCoding, contentCoding } from "../../../src/http/content-coding.ts";

const encoded = (...values: readonly string[]) => values.flatMap((value) => ["content-ENCODING", value]);

test.each([
  [[], undefined],
  [encoded(""), undefined],
  [encoded("identity"), undefined],
  [encoded(" , Identity"), undefined],
  [encoded(" GZip "), "gzip"],
  [encoded("x-gzip"), "gzip"],
  [encoded("identity, br"), "br"],
  [encoded("gzip, br"), "gzip, br"],
  [encoded("gzip", "br"), "gzip, br"],
  [encoded("x-gzip", "identity", "zstd"), "gzip, zstd"],
  [encoded("y".repeat(5_000)), "y".repeat(100)],
])("the content coding of %j is %j", (fields, coding) => {
  expect(contentCoding(fields)).toBe(coding);
});

const accepting = (...values: readonly string[]) => values.flatMap((value) => ["Accept-Encoding", value]);

test.each([
  [[], true],
  [accepting(""), false],
  [accepting("identity"), false],
  [accepting("gzip"), true],
  [accepting("x-gzip"), true],
  [accepting("br", "GZIP ; q=0.5"), true],
  [accepting("gzip;q=0"), false],
  [accepting("gzip; Q=0.000"), false],
  [accepting("gzip;q=0.001"), true],
  [accepting("*"), true],
  [accepting("*;q=0"), false],
  [accepting("*, gzip;q=0"), false],
  [accepting("gzip, *;q=0"), true],
  [accepting("gzipped, not-gzip"), false],
])("%j accepts gzip: %s", (fields, accepts) => {
  expect(acceptsCoding(fields, "gzip")).toBe(accepts);
});
