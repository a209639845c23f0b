import { fuzz } from "./parts/fuzz.mjs";

/**
 * Reads and lints a million spoiled nginx configurations, and mends one in twenty: each ends in findings or a clear
 * error, in bounded time, and what was mended has nothing left to mend. Then asks a real nginx how it reads ten
 * thousand words, and compares.
 *
 *   node test/soak/nginx-fuzz.mjs --scale 1 --seed 1
 */
fuzz([
  { test: "test/unit/nginx/fuzz.test.ts", cases: 1_000_000 },
  { test: "test/e2e/nginx-lint/reader.test.ts", cases: 10_000 },
]);
