import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { redisSchema } from "../../../src/config/redis-schema.ts";
import { afterTest } from "../../support/after-test.ts";

test("it is null, a URL or an object", () => {
  expect(redisSchema.parse(undefined)).toBeNull();
  expect(redisSchema.parse(null)).toBeNull();
  const defaults = { prefix: "sluice", lease: 2000, timeout: 1000, required: false };
  expect(redisSchema.parse("redis://127.0.0.1")).toEqual({ url: "redis://127.0.0.1", ...defaults });
  const url = "rediss://user:pass@redis.example.com:6380/3";
  expect(redisSchema.parse({ url, prefix: "blue" })).toEqual({ url, ...defaults, prefix: "blue" });
});

test("a file may contain the URL, because the URL may contain a password", () => {
  const directory = mkdtempSync(join(tmpdir(), "redis-"));
  afterTest(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, "url"), "redis://:secret@10.0.0.1:6379\n");
  expect(redisSchema.parse(`file:${join(directory, "url")}`)?.url).toBe("redis://:secret@10.0.0.1:6379");
});

test.each([
  ["", "expected a secret that is not empty"],
  ["10.0.0.1:6379", "expected a URL such as redis://"],
  ["http://10.0.0.1", "expected a URL such as redis://"],
  ["redis://", "expected a URL such as redis://"],
  ["redis://10.0.0.1/other/path", "expected a URL such as redis://"],
  [{ url: "redis://a", lease: "10ms" }, "expected a duration from 500ms to 60s"],
  [{ url: "redis://a", timeout: "1ms" }, "expected a duration from 50ms to 30s"],
  [{ url: "redis://a", prefix: "a b" }, "expected 1 to 64 letters"],
  [5, "expected a URL such as redis://"],
])("%j is refused: %s", (value, message) => {
  const result = redisSchema.safeParse(value);
  expect(JSON.stringify(result.error?.issues)).toContain(message);
});

test("a refused value is not repeated, because it may be a password", () => {
  const result = redisSchema.safeParse("hunter2");
  expect(result.success).toBe(false);
  expect(JSON.stringify(result.error?.issues)).not.toContain("hunter2");
});
