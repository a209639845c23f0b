import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";
import { LAYERS } from "../support/layers.ts";

const SRC = new URL("../../src", import.meta.url).pathname;

const layerOf = (folder: string): number => LAYERS.indexOf(folder);
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

test("every source file is in a folder of this list", () => {
  expect(sources.filter((file) => layerOf(folderOf(file)) < 0)).toEqual([]);
});

test("no file imports from a later folder", () => {
  const upward = sources.flatMap((file) =>
    importsOf(file)
      .filter(
        (target) =>
          folderOf(target) !== folderOf(file) && layerOf(folderOf(target)) > layerOf(folderOf(file)),
      )
      .map((target) => `${relative(SRC, file)} -> ${relative(SRC, target)}`),
  );
  expect(upward).toEqual([]);
});

/** Files that import each other, over any number of steps: a file that reaches itself. */
function cycles(): string[] {
  const graph = new Map(sources.map((file) => [file, importsOf(file)]));
  const reaches = (from: string): boolean => {
    const seen = new Set<string>();
    const open = [...(graph.get(from) ?? [])];
    for (let file = open.pop(); file !== undefined; file = open.pop()) {
      if (file === from) return true;
      if (!seen.has(file)) open.push(...(graph.get(file) ?? []));
      seen.add(file);
    }
    return false;
  };
  return sources.filter(reaches).map((file) => relative(SRC, file));
}

test("no files import each other, not even for types", () => {
  expect(cycles()).toEqual([]);
});

test("exactly one file imports http-proxy", () => {
  const importers = sources.filter((file) => /["']http-proxy["']/.test(readFileSync(file, "utf8")));
  expect(importers.map((file) => relative(SRC, file))).toEqual(["websocket/http-proxy.ts"]);
});

/** Members without a public name, and calls that reach into Node or a library. */
const INTERNALS =
  /\._[a-z]|_handle\b|process\.binding|"internalMessage"|setFlagsFromString|getHeapSpaceStatistics|getOwnPropertySymbols|pino\.symbols\.\w+;|\.listeners\("connection"\)|\.push\(NOTHING\)|maxHeaderSize: \w+ \}\)|\.(?:on|once)\("trailers"/;

test("internals of Node and of libraries are relied on in process/internals alone", () => {
  const users = sources.filter((file) => INTERNALS.test(readFileSync(file, "utf8")));
  const outside = users
    .map((file) => relative(SRC, file))
    .filter((name) => !name.startsWith("process/internals/"));
  expect(outside).toEqual([]);
});

test("each internal says what it assumes, what fails without it and when it can go, and has a test", () => {
  const files = sources.filter((file) => relative(SRC, file).startsWith("process/internals/"));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const text = readFileSync(file, "utf8");
    for (const part of [/^ \* - Assumed of /m, /^ \* - Without it: /m, /^ \* - Can go when /m])
      expect(text, relative(SRC, file)).toMatch(part);
    const twin = join(SRC, "../test/unit", relative(SRC, file).replace(/\.ts$/, ".test.ts"));
    expect(existsSync(twin), twin).toBe(true);
  }
});
