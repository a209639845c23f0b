import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { limitsSchema } from "../../../src/config/limits-schema.ts";
import type { Exchange } from "../../../src/exchange/exchange.ts";
import type { TokenCounts } from "../../../src/exchange/token-counts.ts";
import type { WindowConfig } from "../../../src/limits/counter-store.ts";
import { createTokenLimits } from "../../../src/limits/token-limit.ts";
import { memoryWindows } from "../../../src/limits/windows.ts";
import { fakeExchange } from "../../support/fake-exchange.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function limitsOf(tokens: unknown) {
  const made = createTokenLimits(
    limitsSchema.parse({ tokens }).tokens,
    (config: WindowConfig) => memoryWindows(config),
    () => ({ allowed: 0, limited: 0 }),
  );
  if (made === undefined) throw new TypeError("expected limits");
  const remaining = ({ account }: Exchange) =>
    Number(account.reportFields.find(([name]) => name === "x-ratelimit-remaining-tokens")?.[1]);
  const enter = async () => {
    const exchange = fakeExchange();
    await made.step(exchange);
    return exchange;
  };
  /** Ends an answer with this usage. */
  const leave = async (exchange: Exchange, tokens: Partial<TokenCounts> | undefined) => {
    if (tokens !== undefined) exchange.account.countedTokensBy({ ...NO_TOKENS, ...tokens });
    exchange.settle("completed");
    await vi.advanceTimersByTimeAsync(0);
  };
  /** Returns the tokens left, and leaves them. */
  const left = async () => {
    const exchange = await enter();
    await leave(exchange, undefined);
    return remaining(exchange) + 100;
  };
  return { enter, leave, left, close: made.close };
}

const NO_TOKENS: TokenCounts = {
  inputTokens: undefined,
  outputTokens: undefined,
  firstTokenMs: undefined,
  model: undefined,
  parts: 0,
  isFinal: false,
};
const usage = (inputTokens: number, outputTokens: number) => ({ inputTokens, outputTokens, isFinal: true });

test("a reserve of an earlier window is not given back to the present one", async () => {
  const { enter, leave, left, close } = limitsOf({ tokens: 1000, per: "10s", reserve: 100 });
  const slow = await enter();
  await vi.advanceTimersByTimeAsync(10_001);
  await leave(await enter(), usage(500, 0));
  expect(await left()).toBe(500);
  await leave(slow, usage(10, 10));
  expect(await left()).toBe(500);
  close();
});

test("of an answer that began in an earlier window, the tokens beyond its reserve count in the present one", async () => {
  const { enter, leave, left, close } = limitsOf({ tokens: 1000, per: "10s", reserve: 100 });
  const slow = await enter();
  await vi.advanceTimersByTimeAsync(10_001);
  await leave(slow, usage(300, 100));
  expect(await left()).toBe(700);
  close();
});

test("a refused request holds no reserve, even while its client does not read the refusal", async () => {
  const { enter, leave, left, close } = limitsOf([
    { tokens: 150, per: "1h", reserve: 100 },
    { tokens: 5000, per: "1h", by: "ip", reserve: 100 },
  ]);
  const held = await enter();
  await expect(enter()).rejects.toMatchObject({ code: "rate_limited" });
  await leave(held, usage(0, 0));
  expect(await left()).toBe(150);
  close();
});

test("without its whole usage, an answer costs the greatest of reserve, reported tokens and events", async () => {
  const { enter, leave, left, close } = limitsOf({ tokens: 10_000, per: "1h", reserve: 100 });
  await leave(await enter(), { parts: 7 });
  expect(await left()).toBe(9900);
  await leave(await enter(), { parts: 250 });
  expect(await left()).toBe(9650);
  // A message of Anthropic that was aborted: its input is known, and an output of 1.
  await leave(await enter(), { inputTokens: 400, outputTokens: 1, parts: 30 });
  expect(await left()).toBe(9220);
  await leave(await enter(), { inputTokens: 10, outputTokens: 600, parts: 30 });
  expect(await left()).toBe(8610);
  close();
});

test("a usage of any size uses up one window, and no more", async () => {
  const { enter, leave, close } = limitsOf({ tokens: 1000, per: "10s", reserve: 100 });
  await leave(await enter(), usage(Number.MAX_SAFE_INTEGER, 0));
  await expect(enter()).rejects.toMatchObject({ code: "rate_limited" });
  await vi.advanceTimersByTimeAsync(10_001);
  await leave(await enter(), usage(1, 1));
  close();
});

test("property: at no time do more answers run than have room for their reserves, and all settled tokens count", async () => {
  const step = fc.record({ isEntry: fc.boolean(), spent: fc.nat(400), which: fc.nat(20) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { enter, leave, left, close } = limitsOf({ tokens: 2000, per: "1h", reserve: 100 });
      const running: Exchange[] = [];
      let spent = 0;
      for (const { isEntry, spent: tokens, which } of steps) {
        if (isEntry) {
          const hasRoom = spent + 100 * (running.length + 1) <= 2000;
          const entered = await enter().catch(() => undefined);
          expect(entered !== undefined).toBe(hasRoom);
          if (entered !== undefined) running.push(entered);
        } else {
          const [ended] = running.splice(which % Math.max(1, running.length), 1);
          if (ended === undefined) continue;
          await leave(ended, usage(tokens, 0));
          spent += tokens;
        }
      }
      // Each answer that ran beside others exceeds the limit at most by its tokens beyond the reserve.
      expect(spent).toBeLessThanOrEqual(2000 + 300 * 20);
      for (const exchange of running) await leave(exchange, usage(0, 0));
      if (spent <= 1900) expect(await left()).toBe(2000 - spent);
      close();
    }),
    { numRuns: 60 },
  );
});

test.each([
  [{ tokens: 500, per: "1h" }, 500],
  [{ tokens: 200_000, per: "1h" }, 2000],
  [{ tokens: 500, per: "1h", reserve: 7 }, 7],
])("the reserve of %o is %i", (limit, reserve) => {
  expect(limitsSchema.parse({ tokens: limit }).tokens[0]?.reserve).toBe(reserve);
});
