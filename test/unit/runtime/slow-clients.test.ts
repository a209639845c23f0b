import { expect, test } from "vitest";
import type { LiveStream } from "../../../src/exchange/live-stream.ts";
import { endSlowClients } from "../../../src/runtime/slow-clients.ts";
import { fakeExchange } from "../../support/fake-exchange.ts";

test("the half of the slow clients with the most pending bytes is ended, and no client that keeps up", () => {
  const ended: [bytes: number, reason: string][] = [];
  const stream = (pendingBytes: number): LiveStream => ({
    exchange: fakeExchange(),
    reconnects: true,
    pendingBytes,
    endAtBoundary() {},
    abort: (reason) => void ended.push([pendingBytes, reason]),
  });
  expect(endSlowClients([0, 10, 300, 0, 200, 100, 20].map(stream))).toBe(3);
  expect(ended).toEqual([
    [300, "slow_client"],
    [200, "slow_client"],
    [100, "slow_client"],
  ]);
  expect(endSlowClients([stream(0)])).toBe(0);
});
