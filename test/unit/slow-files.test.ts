import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { quickFiles } from "../runner/quick-files.ts";
import { SLOW_FILES } from "../runner/slow-files.ts";

test("each file on the list of slow files exists", () => {
  const root = new URL("../..", import.meta.url).pathname;
  expect(SLOW_FILES.filter((path) => !existsSync(root + path))).toEqual([]);
});

test("a quick run has the files that start no process, and no slow one", () => {
  const files = ["unit", "integration", "security"].flatMap(quickFiles);
  const quick = ["test/unit/sse/boundary.test.ts", "test/integration/mock.test.ts"];
  expect(files).toEqual(expect.arrayContaining(quick));
  // These start the command, by themselves and through a file of test/support, and a Redis.
  const starting = ["test/integration/sign.test.ts", "test/integration/workers-drain-together.test.ts"];
  const redis = files.filter((path) => path.startsWith("test/integration/redis/"));
  expect([...files.filter((path) => [...SLOW_FILES, ...starting].includes(path)), ...redis]).toEqual([]);
});
