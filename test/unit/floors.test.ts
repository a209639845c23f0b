import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

/** From the ground up: a folder imports only folders before it in this list, and files inside itself. */
const FLOORS = [
  "base",
  "sse",
  "config",
  "nginx",
  "observe",
  "routing",
  "pipeline",
  "upstream",
  "stream",
  "shared",
  "forward",
  "server",
  "workers",
  "demo",
  "probe",
  "cli",
];
const SRC = new URL("../../src", import.meta.url).pathname;

const floorOf = (folder: string): number => FLOORS.indexOf(folder);
const folderOf = (file: string): string => relative(SRC, file).split("/")[0] ?? "";
const sources = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => join(SRC, name));

function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/(?:from|import|import\()\s*"(\.[^"]+)"/g)].map((found) =>
    resolve(dirname(file), found[1] ?? ""),
  );
}

test("every source file lives on a floor", () => {
  expect(sources.filter((file) => floorOf(folderOf(file)) < 0)).toEqual([]);
});

test("no file imports a floor above its own", () => {
  const upward = sources.flatMap((file) =>
    importsOf(file)
      .filter(
        (target) =>
          folderOf(target) !== folderOf(file) && floorOf(folderOf(target)) > floorOf(folderOf(file)),
      )
      .map((target) => `${relative(SRC, file)} -> ${relative(SRC, target)}`),
  );
  expect(upward).toEqual([]);
});

test("J7: exactly one file imports http-proxy", () => {
  const importers = sources.filter((file) => /["']http-proxy["']/.test(readFileSync(file, "utf8")));
  expect(importers.map((file) => relative(SRC, file))).toEqual(["forward/http-proxy.ts"]);
});
