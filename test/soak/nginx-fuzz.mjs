import { fuzz } from "./parts/fuzz.mjs";

/**
 * Reads and lints a million damaged nginx configurations, and fixes one in twenty: each gives findings or a clear
 * error in bounded time, and after a fix nothing is left to fix. Then compares ten thousand words with a real nginx.
 *
 *   node test/soak/nginx-fuzz.mjs --scale 1 --seed 1
 */
fuzz([
  { test: "test/unit/nginx/fuzz.test.ts", cases: 1_000_000 },
  { test: "test/e2e/nginx-lint/reader.test.ts", cases: 10_000 },
]);
