import { expect, test } from "vitest";
import { createAppCodeVerifier } from "../../../src/auth/app-code.ts";
import type { Exchange } from "../../../src/exchange/exchange.ts";

const CODE = "c".repeat(64);
const APPS = 50_000;
const CHECKS = 1000;
/** A comparison with each code would take 3 s. */
const MAX_MS = 1000;
/** The machine may stand still during one attempt; a slow check is slow each time. */
const ATTEMPTS = 3;

const exchange = (code: string): Exchange =>
  ({ request: { rawHeaders: ["X-Apig-AppCode", code] } }) as unknown as Exchange;

test(`a check among ${APPS} AppCodes does not look at each of them`, async () => {
  const apps = Array.from({ length: APPS }, (_, i) => ({
    name: `app-${i}`,
    key: `key-${i}`,
    secret: ["s"],
    appCodes: [`${CODE}${i}`],
  }));
  const { verify } = createAppCodeVerifier(apps, undefined);
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const start = performance.now();
    for (let i = 0; i < CHECKS; i++) {
      expect((await verify(exchange(`${CODE}${i * 49}`)))?.app).toBe(`app-${i * 49}`);
    }
    least = Math.min(least, performance.now() - start);
  }
  await expect(verify(exchange(`${CODE}${APPS}`))).rejects.toThrow("unknown AppCode");
  expect(least).toBeLessThan(MAX_MS);
});
