import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LAYERS } from "../../support/layers.ts";
import { pageText } from "../../support/pages.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;
const text = pageText("docs/architecture.md");
const section = (title: string) => new RegExp(`## ${title}\\n([\\s\\S]*?)\\n## `).exec(text)?.[1] ?? "";
const firstCells = (table: string) => [...table.matchAll(/^\| (`.*?) \|/gm)].map(([, cell = ""]) => cell);

test("the tree has the folders of src, from the lowest layer up", () => {
  expect(firstCells(section("The tree"))).toEqual(LAYERS.map((folder) => `\`${folder}\``));
});

test("each name that stands before its file is in that file", () => {
  const named = [...text.matchAll(/`([A-Za-z_]+)` \(`(src\/[\w./-]+\.ts)`\)/g)];
  expect(named.length).toBeGreaterThan(20);
  const wrong = named.filter(([, name = "", path = ""]) => {
    return !existsSync(ROOT + path) || !new RegExp(`\\b${name}\\b`).test(readFileSync(ROOT + path, "utf8"));
  });
  expect(wrong.map(([all]) => all)).toEqual([]);
});

test("the line that writes an event's bytes is in the client writer as the page shows it", () => {
  const line = /is `(this\.#response\.write\([^`]*\))`/.exec(text)?.[1] ?? "nothing";
  expect(readFileSync(`${ROOT}src/stream/client-writer.ts`, "utf8")).toContain(line);
});

test("each file of internals has a row", () => {
  const rows = firstCells(section("Internals relied on")).flatMap((cell) => [
    ...cell.matchAll(/`([\w-]+\.ts)`/g),
  ]);
  expect(rows.map(([, file]) => file).sort()).toEqual(readdirSync(`${ROOT}src/process/internals`).sort());
});
