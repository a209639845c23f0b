import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import packageFile from "../../package.json" with { type: "json" };
import { BROWSER_LIBRARIES } from "../../src/base/browser-libraries.ts";
import { referenceTable } from "../support/reference.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const README = `${ROOT}README.md`;
const text = () => readFileSync(README, "utf8");

/** `npm run docs` writes the tables; without it this test says that they are out of date. */
test.each(["route", "server", "apps"] as const)(
  "the reference of the %s file is what validates it",
  (name) => {
    const block = new RegExp(`(<!-- reference:${name} -->\\n)[\\s\\S]*?(<!-- end -->)`);
    const current = text().replace(
      block,
      (_, open: string, end: string) => `${open}${referenceTable(name)}\n${end}`,
    );
    if (process.env["WRITE_README"] === "true") writeFileSync(README, current);
    expect(text()).toMatch(block);
    expect(text()).toBe(current);
  },
);

test("every runtime dependency and every copied library has its line in Built on, and nothing else has", () => {
  const section = /## Built on\n([\s\S]*?)\n## /.exec(text())?.[1] ?? "";
  const named = [...section.matchAll(/^\| \[?`?([\w@/-]+)`?/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== "package" && name !== "---");
  const copied = new Set(Object.values(BROWSER_LIBRARIES).map((library) => library.package));
  expect(named.sort()).toEqual([...Object.keys(packageFile.dependencies), ...copied].sort());
});

test("every file that the README names is there", () => {
  const paths = [...text().matchAll(/`((?:test|src|config|docker)\/[\w./-]+)`/g)].map(
    ([, path]) => path ?? "",
  );
  expect(paths.length).toBeGreaterThan(10);
  expect(paths.filter((path) => !existsSync(ROOT + path))).toEqual([]);
});
