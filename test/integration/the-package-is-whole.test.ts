import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { run } from "../support/command.ts";
import { eventually } from "../support/eventually.ts";
import { type InstalledPackage, installPackage } from "../support/installed-package.ts";
import { START_MS, startSluice } from "../support/sluice-process.ts";

let installed: InstalledPackage;

beforeAll(async () => {
  installed = await installPackage();
  return installed.remove;
});

const read = (path: string) => readFileSync(join(installed.directory, path), "utf8");

const filesBelow = (directory: string): string[] =>
  readdirSync(join(installed.directory, directory), { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(installed.directory, directory, name)).isFile(),
  );

test("packages that only our pages load are not installed", () => {
  const names = ["uplot", "event-source-polyfill", "apigateway-sdk-nodejs"];
  const there = (name: string) => existsSync(join(installed.project, "node_modules", name));
  expect(names.filter(there)).toEqual([]);
  expect(["pino", "zod", "http-proxy"].filter(there)).toHaveLength(3);
});

test("demo and dashboard serve their pages with every library", async () => {
  const demo = startSluice(["demo", "--listen", "127.0.0.1:0"], {
    cwd: installed.project,
    main: join(installed.directory, "dist/cli/main.js"),
  });
  const url = (word: string) => new RegExp(`${word} +(http:\\S+)`).exec(demo.text())?.[1] ?? "";
  await eventually(() => url("watch") !== "", "the addresses of the demo", { timeoutMs: START_MS });
  const at = { demo: url("Open"), dashboard: url("watch") };
  const lengthOf = async (base: string, path: string) => {
    const response = await fetch(new URL(path, base));
    return response.status === 200 ? (await response.text()).length : response.status;
  };
  expect(await lengthOf(at.demo, "/page/article.html")).toBeGreaterThan(1_000);
  expect(await lengthOf(at.demo, "/page/lib/signer.js")).toBeGreaterThan(1_000);
  expect(await lengthOf(at.demo, "/page/lib/eventsource.js")).toBeGreaterThan(10_000);
  expect(await lengthOf(at.dashboard, "/page/lib/uplot.js")).toBeGreaterThan(50_000);
  expect(await lengthOf(at.dashboard, "/page/lib/uplot.css")).toBeGreaterThan(500);
});

test("each copied library has the text of its licence beside it", () => {
  const licenses = filesBelow("dist/browser-libraries").filter((name) => name.includes(".LICENSE"));
  expect(licenses.toSorted()).toEqual([
    "apigateway-sdk-nodejs.LICENSE",
    "event-source-polyfill.LICENSE",
    "event-source-polyfill.LICENSE.md",
    "uplot.LICENSE",
  ]);
  for (const name of licenses) {
    expect(read(`dist/browser-libraries/${name}`)).toMatch(/copyright[\s\S]*permission is hereby granted/i);
  }
});

/** The targets of a Markdown file's links and images that are files of the package. */
const linksOf = (text: string) =>
  [...text.matchAll(/\]\(([^)\s]+)\)|<img[^>]+src="([^"]+)"/g)]
    .map(([, link, image]) => (link ?? image ?? "").replace(/#.*$/, ""))
    .filter((link) => link !== "" && !/^[a-z]+:/.test(link));

test("every file that a packed document links to is packed", () => {
  const documents = ["", "docs"].flatMap((directory) =>
    readdirSync(join(installed.directory, directory))
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(directory, name)),
  );
  expect(documents).toEqual(expect.arrayContaining(["README.md", "SECURITY.md", "CHANGELOG.md"]));
  const links = documents.flatMap((document) =>
    linksOf(read(document)).map((link) => ({ document, link, path: join(document, "..", link) })),
  );
  expect(links.length).toBeGreaterThan(3);
  expect(links.filter(({ path }) => !existsSync(join(installed.directory, path)))).toEqual([]);
});

/** npm packs the README of each folder of which it packs a file. */
const PACKED =
  /^(?:dist|src|config|docs)\/|^[A-Z]+(?:\.md)?$|^package\.json$|^test\/(?:README\.md$|bench\/results\/)/;

test("nothing but what a user needs is packed", () => {
  expect(filesBelow(".").filter((name) => !PACKED.test(name))).toEqual([]);
});

test("a stack trace leads to the TypeScript source, which is packed", async () => {
  const module = join(installed.directory, "dist/config/nearest.js");
  const program = `import(${JSON.stringify(module)}).then(({ nearest }) => nearest(undefined, ["a"])).catch((error) => console.log(error.stack))`;
  const stack = await run(process.execPath, ["--enable-source-maps", "-e", program]);
  const [, path = "", line = "0"] = /\((\/\S+\.ts):(\d+):\d+\)/.exec(stack) ?? [];
  expect(path).toBe(join(installed.directory, "src/config/nearest.ts"));
  expect(read("src/config/nearest.ts").split("\n")[Number(line) - 1]).toContain("name.length");
});

test("every map of a module and of its types names a packed source", () => {
  const maps = filesBelow("dist").filter((name) => name.endsWith(".map"));
  const missing = maps.filter((name) => {
    const { sources } = JSON.parse(read(join("dist", name))) as { readonly sources: readonly string[] };
    return !sources.every((source) => existsSync(join(installed.directory, "dist", name, "..", source)));
  });
  expect(maps.length).toBeGreaterThan(100);
  expect(missing).toEqual([]);
});
