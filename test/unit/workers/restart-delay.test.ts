import { expect, test } from "vitest";
import { RestartDelay } from "../../../src/workers/restart-delay.ts";

const OLD = 60_000;

test("the delay doubles with each worker that ends young, up to 30 s", () => {
  const delay = new RestartDelay(() => 1);
  expect(Array.from({ length: 11 }, () => delay.next(50))).toEqual([
    100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000,
  ]);
});

test("the delay starts again after a worker that lived long enough", () => {
  const delay = new RestartDelay(() => 1);
  for (let n = 0; n < 5; n++) delay.next(50);
  expect([delay.next(OLD), delay.next(50), delay.next(50)]).toEqual([100, 100, 200]);
});

test("the delay is drawn from the upper half", () => {
  const low = new RestartDelay(() => 0);
  expect([low.next(50), low.next(50)]).toEqual([50, 100]);
});
