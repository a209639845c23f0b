import { fuzz } from "./parts/fuzz.mjs";

/**
 * Reads two million made-up heads, of requests and of responses, with the parsers here and with llhttp: what that
 * refuses is refused, what is taken reads the same. Then asks for the same answers on the lane and from node:http.
 *
 *   node test/soak/head-fuzz.mjs --scale 1 --seed 1
 */
fuzz([
  { test: "test/unit/server/request-parser-and-llhttp.test.ts", cases: 1_000_000 },
  { test: "test/unit/upstream/response-parser-and-llhttp.test.ts", cases: 1_000_000 },
  { test: "test/integration/the-fast-path-answers-as-node-http-does.test.ts", cases: 5_000 },
]);
