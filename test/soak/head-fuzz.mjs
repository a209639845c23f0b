import { fuzz } from "./parts/fuzz.mjs";

/**
 * Parses two million random heads of requests and responses with our parsers and with llhttp: both must refuse the
 * same heads and read the others the same. Then compares the responses of the fast path with those of node:http.
 *
 *   node test/soak/head-fuzz.mjs --scale 1 --seed 1
 */
fuzz([
  { test: "test/unit/http/request-parser-and-llhttp.test.ts", cases: 1_000_000 },
  { test: "test/unit/upstream/response-parser-and-llhttp.test.ts", cases: 1_000_000 },
  { test: "test/integration/the-fast-path-answers-as-node-http-does.test.ts", cases: 5_000 },
]);
