import { fuzz } from "./parts/fuzz.mjs";

/**
 * Relays a million made-up streams: any framing, cut anywhere, heartbeats at any time, slow clients, aborts at any
 * byte; and more of them over real connections, kept and new, of the lane and to backends. The bytes have to be
 * the same, and what is broken off has to be seen to be.
 *
 *   node test/soak/relay-fuzz.mjs --scale 1 --seed 1
 */
fuzz([
  { test: "test/unit/stream/any-stream-in-any-way.test.ts", cases: 1_000_000 },
  { test: "test/integration/any-stream-over-real-connections.test.ts", cases: 100_000 },
]);
