import { expect, test } from "vitest";
import { serverSchema } from "../../../src/config/server-schema.ts";

const limitsOf = (limits: unknown) => serverSchema.parse({ limits }).limits;

const faultsOf = (limits: unknown): string[] => {
  const { error } = serverSchema.safeParse({ limits });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
};

test("what clients may use is limited by default", () => {
  expect(limitsOf({})).toMatchObject({
    bodiesBytes: 128 * 1024 ** 2,
    signedParameters: 256,
    failedAuth: { requests: 100, per: 60_000, by: "ip", maxKeys: 50_000 },
  });
});

test("a limit of wrong credentials may be given in part, whole, or not at all", () => {
  expect(limitsOf({ failedAuth: { requests: 5 } }).failedAuth).toMatchObject({ requests: 5, per: 60_000 });
  expect(limitsOf({ failedAuth: { per: "1h", maxKeys: 7 } }).failedAuth).toMatchObject({
    requests: 100,
    per: 3_600_000,
    maxKeys: 7,
  });
  expect(limitsOf({ failedAuth: "off" }).failedAuth).toBeUndefined();
});

test.each<[unknown, string]>([
  [{ failedAuth: { requests: 0 } }, "limits.failedAuth.requests: "],
  [{ failedAuth: { per: "1500ms" } }, "limits.failedAuth.per: expected whole seconds from 1s to 1d"],
  [{ failedAuth: { maxKeys: 0 } }, "limits.failedAuth.maxKeys: "],
  [{ failedAuth: true }, "limits.failedAuth: expected { requests, per }, or off"],
  [{ bodiesBytes: "much" }, "limits.bodiesBytes: expected a size such as 64k"],
  [{ signedParameters: 0 }, "limits.signedParameters: "],
  [{ signedParameters: 10_001 }, "limits.signedParameters: "],
])("%j is refused", (limits, fault) => {
  expect(faultsOf(limits).join("\n")).toContain(fault);
});
