import { fuzz } from "./parts/fuzz.mjs";

/**
 * Relays a million random streams: any framing, split anywhere, heartbeats at any time, slow clients, aborts at any
 * byte; and more of them over real connections, reused and new. The bytes must be the same, and an aborted stream
 * must look aborted.
 *
 *   node test/soak/relay-fuzz.mjs --scale 1 --seed 1
 */
fuzz([
  { test: "test/unit/stream/any-stream-in-any-way.test.ts", cases: 1_000_000 },
  { test: "test/integration/any-stream-over-real-connections.test.ts", cases: 100_000 },
]);
