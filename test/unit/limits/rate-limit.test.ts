import { expect, test } from "vitest";
import { limitsSchema } from "../../../src/config/limits-schema.ts";
import { RateLimit } from "../../../src/limits/rate-limit.ts";
import { memoryWindows } from "../../../src/limits/windows.ts";

test.each([
  ["10s", "10 second"],
  ["60s", "1 minute"],
  ["90s", "90 second"],
  ["2h", "2 hour"],
  ["1d", "1 day"],
])("the debug field writes %s as the API gateway does", (per, spelled) => {
  const [config] = limitsSchema.parse({ rate: { requests: 10, per } }).rate;
  if (config === undefined) throw new TypeError("a rate was given");
  const limit = new RateLimit(config, memoryWindows(config), () => ({ allowed: 0, limited: 0 }));
  const field = limit.debugField("RELEASE route", { isOver: false, remaining: 9, msLeft: 1 });
  expect(field).toEqual(["X-Apig-RateLimit-api", `remain:9,limit:10,time:${spelled}`]);
});
