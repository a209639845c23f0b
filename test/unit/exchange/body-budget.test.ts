import { PassThrough } from "node:stream";
import { expect, onTestFinished, test, vi } from "vitest";
import { payloadHash } from "../../../src/auth/canonical-request.ts";
import { BodyBudget } from "../../../src/exchange/body-budget.ts";
import { readWholeBody, type WholeBody } from "../../../src/exchange/whole-body.ts";

const KIB = 1024;

/** A body on its way, with its result. */
function reading(budget: BodyBudget, length?: number, maxBytes = 1024 * KIB) {
  const stream = Object.assign(new PassThrough(), { rawTrailers: [] });
  const lease = budget.lease();
  const body = readWholeBody({ stream, length }, { maxBytes, lease, onStart: () => {} });
  const outcome = body.then(
    () => "whole",
    (error: { code?: string }) => error.code,
  );
  const come = async (bytes: number, part = bytes) => {
    for (let left = bytes; left > 0; left -= part) stream.write(Buffer.alloc(Math.min(part, left), "b"));
    await new Promise(setImmediate);
  };
  return { stream, lease, body, outcome, come };
}

/** Returns the bytes that bodies hold of a budget: its limit minus the largest body that still fits. */
function heldBytes(budget: BodyBudget): number {
  let fits = 0;
  for (let step = 2 ** Math.floor(Math.log2(budget.limitBytes)); step >= 1; step /= 2) {
    const lease = budget.lease();
    try {
      lease.grow(fits + step);
      fits += step;
    } catch {
      // A body of this size does not fit.
    }
    lease.release();
  }
  return budget.limitBytes - fits;
}

const bytesOf = ({ blocks }: WholeBody) => Buffer.concat(blocks);

test("a body takes at most twice the bytes that have come, and never what it has only announced", async () => {
  const budget = new BodyBudget(1024 * KIB);
  const { come, lease } = reading(budget, 500 * KIB);
  expect(heldBytes(budget)).toBe(0);
  let sum = 0;
  for (const bytes of [1, 100, 4 * KIB, 30 * KIB, 100 * KIB]) {
    await come(bytes);
    sum += bytes;
    expect(heldBytes(budget)).toBeGreaterThanOrEqual(sum);
    expect(heldBytes(budget)).toBeLessThanOrEqual(Math.max(4 * KIB, 2 * sum));
  }
  lease.release();
  expect(heldBytes(budget)).toBe(0);
});

test.each([
  [100_000, 100_000, 100_000],
  [100_000, undefined, 4_096],
  [3, 3, 1],
  [70_001, 70_001, 7],
  [0, undefined, 1],
])("a body of %i bytes, announced as %s, in parts of %i, is unchanged", async (bytes, length, part) => {
  const budget = new BodyBudget(1024 * KIB);
  const { stream, come, body } = reading(budget, length);
  await come(bytes, part);
  stream.end();
  const whole = await body;
  expect(whole.length).toBe(bytes);
  expect(bytesOf(whole).equals(Buffer.alloc(bytes, "b"))).toBe(true);
  expect(whole.hash).toBe(payloadHash("b".repeat(bytes)));
  if (length !== undefined) expect(heldBytes(budget)).toBe(bytes);
  const release = whole.hold();
  whole.release();
  whole.release();
  expect(heldBytes(budget)).toBeGreaterThanOrEqual(bytes);
  release();
  release();
  expect(heldBytes(budget)).toBe(0);
});

test("a body that finds no room is refused, and gives back what it had", async () => {
  const budget = new BodyBudget(100 * KIB);
  const first = reading(budget, 80 * KIB);
  await first.come(80 * KIB);
  const second = reading(budget, 40 * KIB);
  await second.come(40 * KIB);
  expect(await second.outcome).toBe("too_many_bodies");
  expect(heldBytes(budget)).toBe(80 * KIB);
  first.stream.end();
  expect(await first.outcome).toBe("whole");
});

test("a body that takes nothing for five seconds is dropped when another body needs its room, and only then", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const budget = new BodyBudget(100 * KIB);
  const done = reading(budget, 20 * KIB);
  await done.come(20 * KIB);
  done.stream.end();
  await done.outcome;
  const slow = reading(budget, 500 * KIB);
  // Four blocks, 32 KiB.
  await slow.come(30 * KIB);
  vi.advanceTimersByTime(4_000);
  const quick = reading(budget, 20 * KIB);
  await quick.come(19 * KIB);
  const early = reading(budget, 40 * KIB);
  await early.come(40 * KIB);
  expect(await early.outcome).toBe("too_many_bodies");
  // A byte now and then takes no block, so it counts as no progress.
  vi.advanceTimersByTime(1_000);
  await slow.come(1);
  const next = reading(budget, 40 * KIB);
  await next.come(40 * KIB);
  next.stream.end();
  expect(await slow.outcome).toBe("too_many_bodies");
  expect(await next.outcome).toBe("whole");
  // A complete body waits for its backend, and a growing body is not dropped.
  await quick.come(1);
  quick.stream.end();
  expect(await quick.outcome).toBe("whole");
  for (const { lease } of [done, slow, quick, early, next]) lease.release();
  expect(heldBytes(budget)).toBe(0);
});

test("an exchange that ends before its body gives back what came, and late bytes take nothing", async () => {
  const budget = new BodyBudget(100 * KIB);
  const { lease, come, stream, outcome } = reading(budget);
  await come(50 * KIB);
  lease.release();
  expect(heldBytes(budget)).toBe(0);
  await come(50 * KIB);
  expect(heldBytes(budget)).toBe(0);
  stream.destroy();
  expect(await outcome).toBe("bad_request");
});

test("an aborted body gives back its bytes", async () => {
  const budget = new BodyBudget(100 * KIB);
  const { come, stream, outcome } = reading(budget, 80 * KIB);
  await come(50 * KIB);
  stream.destroy();
  expect(await outcome).toBe("bad_request");
  expect(heldBytes(budget)).toBe(0);
});
