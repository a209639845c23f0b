import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ClientResponse } from "../../../src/http/client-response.ts";
import { StallTimer } from "../../../src/stream/stall-timer.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function start(sendTimeout: number | undefined) {
  const response = { takenBytes: 0 };
  const owner = { fault: vi.fn() };
  const onStall = vi.fn();
  const timer = new StallTimer(response as unknown as ClientResponse, { sendTimeout, owner, onStall });
  timer.start();
  return { response, owner, onStall, timer };
}

test("a client that takes nothing for the whole timeout has stalled", async () => {
  const { onStall } = start(1_000);
  await vi.advanceTimersByTimeAsync(900);
  expect(onStall).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(200);
  expect(onStall).toHaveBeenCalledOnce();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(onStall).toHaveBeenCalledOnce();
});

test("a client that takes a byte now and then has not stalled", async () => {
  const { response, onStall } = start(1_000);
  for (let round = 0; round < 5; round++) {
    await vi.advanceTimersByTimeAsync(900);
    response.takenBytes += 1;
  }
  expect(onStall).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(2_100);
  expect(onStall).toHaveBeenCalledOnce();
});

test("a timer that was cleared, or has no timeout, never fires", async () => {
  const cleared = start(1_000);
  cleared.timer.clear();
  const unbounded = start(undefined);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(cleared.onStall).not.toHaveBeenCalled();
  expect(unbounded.onStall).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});

test("an error as the client stalls is its owner's fault", async () => {
  const { owner, onStall } = start(1_000);
  const error = new Error("not expected");
  onStall.mockImplementation(() => {
    throw error;
  });
  await vi.advanceTimersByTimeAsync(1_100);
  expect(owner.fault).toHaveBeenCalledWith(error);
});
