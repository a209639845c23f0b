import { once } from "node:events";
import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { expect, it } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

// A connection without a request is busy in Node's eyes: `close()` waited its whole grace of five seconds for
// the spare connections that browsers and fetch keep.
it("closes at once though a client holds a connection on which it never asked", async () => {
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const spare = connect(gateway.port, "127.0.0.1");
  const spareClosed = once(spare, "close");
  await once(spare, "connect");
  // An answer on a later connection shows that the spare one has been accepted.
  const client = openStream(gateway.port);
  (await backend.nextRequest()).openStream();
  await client.opened();
  const startedAt = performance.now();
  await gateway.close();
  expect(performance.now() - startedAt).toBeLessThan(2500);
  await spareClosed;
  expect(await client.ended()).toBe("clean");
});
