import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { SLOW_FILES } from "../runner/slow-files.ts";

test("each file on the list of slow files exists", () => {
  const root = new URL("../..", import.meta.url).pathname;
  expect(SLOW_FILES.filter((path) => !existsSync(root + path))).toEqual([]);
});
