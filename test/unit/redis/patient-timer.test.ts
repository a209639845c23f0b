import { expect, test, vi } from "vitest";
import { startPatientTimer } from "../../../src/redis/patient-timer.ts";

test("the timer fires after its time, and not after it was cancelled", () => {
  vi.useFakeTimers();
  const onLate = vi.fn();
  startPatientTimer(1000, onLate);
  const stop = startPatientTimer(1000, onLate);
  vi.advanceTimersByTime(990);
  expect(onLate).not.toHaveBeenCalled();
  stop();
  vi.advanceTimersByTime(1000);
  expect(onLate).toHaveBeenCalledTimes(1);
  vi.useRealTimers();
});

test("a process that was blocked for longer than the timer reads its input before the timer fires", async () => {
  const order: string[] = [];
  const late = new Promise<void>((resolve) => {
    startPatientTimer(40, () => {
      order.push("late");
      resolve();
    });
  });
  const until = performance.now() + 200;
  while (performance.now() < until);
  setImmediate(() => order.push("what came in"));
  await late;
  expect(order).toEqual(["what came in", "late"]);
});
