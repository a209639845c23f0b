import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const at = (path: string): URL => new URL(`../../${path}`, import.meta.url);

test("every metric has its line in the README, and every line its metric", () => {
  const sources = readdirSync(at("src/observe")).map((file) =>
    readFileSync(at(`src/observe/${file}`), "utf8"),
  );
  const rows = readFileSync(at("README.md"), "utf8").match(/^\| `sluice_\w+`.*? \|/gm) ?? [];
  const names = (texts: readonly string[], pattern: RegExp) =>
    new Set(texts.flatMap((text) => [...text.matchAll(pattern)].map(([, name]) => name)));
  expect(names(rows, /`(sluice_\w+)`/g)).toEqual(names(sources, /name: "(sluice_\w+)"/g));
});
