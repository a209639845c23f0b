import { setImmediate as immediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { atTurnEnd } from "../../../src/base/turn-end.ts";

const user = (turnEnded: () => void, fault: (error: unknown) => void = () => {}) => ({ turnEnded, fault });

test("users are called once, in their order, and not before the turn ends", async () => {
  const calls: string[] = [];
  atTurnEnd(user(() => calls.push("a")));
  atTurnEnd(user(() => calls.push("b")));
  await Promise.resolve();
  expect(calls).toEqual([]);
  await immediate();
  await immediate();
  expect(calls).toEqual(["a", "b"]);
});

test("an error is a fault of its own user, and the others are called", async () => {
  const faults: unknown[] = [];
  const error = new Error("x");
  let isCalled = false;
  atTurnEnd(
    user(
      () => {
        throw error;
      },
      (fault) => faults.push(fault),
    ),
  );
  atTurnEnd(
    user(() => {
      isCalled = true;
    }),
  );
  await immediate();
  expect(faults).toEqual([error]);
  expect(isCalled).toBe(true);
});

test("a user that waits again is called at the end of the next turn, behind reads", async () => {
  const calls: string[] = [];
  atTurnEnd(
    user(() => {
      calls.push("first");
      atTurnEnd(user(() => calls.push("second")));
    }),
  );
  await immediate();
  expect(calls).toEqual(["first"]);
  await immediate();
  expect(calls).toEqual(["first", "second"]);
});
