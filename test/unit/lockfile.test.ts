import { expect, test } from "vitest";
import lock from "../../package-lock.json" with { type: "json" };
import { missingEntries } from "../lockfile.mjs";

// npm ci refused a lockfile that was written where some platforms' builds could not be had.
test("the lockfile has an entry for every platform's build, or npm ci installs nothing", () => {
  expect(missingEntries(lock.packages).map(({ name }) => name)).toEqual([]);
});

test("control: an entry that is taken out is missed", () => {
  const { "node_modules/@biomejs/cli-linux-x64": _, ...packages } = lock.packages;
  expect(missingEntries(packages).map(({ name }) => name)).toEqual(["@biomejs/cli-linux-x64"]);
});

test("no entry names the registry that it came from", () => {
  expect(JSON.stringify(lock)).not.toContain('"resolved"');
});
