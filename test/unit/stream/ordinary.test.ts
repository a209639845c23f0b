import { setImmediate as turnEnd } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Sink, Source } from "../../../src/http/source.ts";
import { forward } from "../../../src/stream/ordinary.ts";
import { fakeExchange, fakeSharedRoute } from "../../support/fake-exchange.ts";
import { FakeResponse } from "../../support/fake-response.ts";

/** A backend's plain-text response that counts the calls of its methods. */
class FakeSource implements Source {
  readonly head = { status: 200, reason: "OK", rawHeaders: ["Content-Type", "text/plain"] };
  sink: Sink | undefined;
  isPaused = false;

  start(sink: Sink): void {
    this.sink = sink;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  cancel(): void {}

  onClose(): void {}
}

// With `stream.clientBuffer` as the bound, 4,000 clients that did not read their downloads held a gigabyte.
test("an ordinary response has at most one read pending for its client, whatever clientBuffer is", async () => {
  const exchange = fakeExchange();
  const response = new FakeResponse();
  const source = new FakeSource();
  forward(exchange, response, source, fakeSharedRoute({}, { stream: { clientBuffer: "1m" } }));
  // Its bytes leave with those of the other responses of the turn.
  expect(source.sink).toBeUndefined();
  await turnEnd();
  const chunk = Buffer.alloc(32 * 1024);
  source.sink?.onData(chunk, 0, chunk.length);
  expect(source.isPaused).toBe(false);
  response.isStalled = true;
  source.sink?.onData(chunk, 0, chunk.length);
  expect(source.isPaused).toBe(true);
  expect(response.pendingBytes).toBe(chunk.length);
  response.drain();
  expect(source.isPaused).toBe(false);
  response.close();
});
