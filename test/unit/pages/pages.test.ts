import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import packageFile from "../../../package.json" with { type: "json" };
import { BROWSER_LIBRARIES } from "../../../src/base/browser-libraries.ts";
import {
  anchorsOf,
  contentsOf,
  headingsOf,
  linksOf,
  PAGES,
  pageText,
  proseOf,
  sectionAnchors,
} from "../../support/pages.ts";

const ROOT = new URL("../../..", import.meta.url).pathname;
const DOCS = PAGES.filter((page) => page.startsWith("docs/") && page !== "docs/README.md");

describe.each(PAGES)("%s", (page) => {
  test("every link leads to an existing file and anchor", () => {
    const broken = linksOf(page).filter(({ target, anchor }) => {
      if (!existsSync(join(ROOT, target))) return true;
      return anchor !== undefined && !anchorsOf(target).has(anchor);
    });
    expect(broken).toEqual([]);
  });

  test("every file that it names exists", () => {
    const paths = [
      ...pageText(page).matchAll(/(?<![\w/.])((?:test|src|docker|config\/schema)\/[\w./-]*\w)/g),
    ];
    const missing = paths.map(([, path = ""]) => path).filter((path) => !existsSync(ROOT + path));
    expect(missing).toEqual([]);
  });

  test("the rows of each table have as many cells as its head", () => {
    const tables = proseOf(page).match(/(?:^\|.*\|\n)+/gm) ?? [];
    const cellsOf = (row: string) => row.replaceAll("\\|", "").split("|").length;
    const uneven = tables.flatMap((table) => {
      const [head = "", ...rows] = table.trimEnd().split("\n");
      return rows.filter((row) => cellsOf(row) !== cellsOf(head));
    });
    expect(uneven).toEqual([]);
  });

  test("every npm script that it names exists", () => {
    const named = [...pageText(page).matchAll(/`?npm run (?:-s )?([a-z][\w:]*)/g)].map(
      ([, name]) => name ?? "",
    );
    expect(named.filter((name) => !(name in packageFile.scripts))).toEqual([]);
  });
});

test.each([...DOCS, "CONTRIBUTING.md"])("%s begins with a list of its sections, in their order", (page) => {
  expect(contentsOf(page)).toEqual(sectionAnchors(page));
  expect(headingsOf(page, "#")).toHaveLength(1);
});

describe.each(DOCS)("%s", (page) => {
  test("is in the list of all pages", () => {
    const targets = linksOf("docs/README.md").map(({ target }) => target);
    expect(targets).toContain(page);
  });

  test("every configuration key that it names exists", () => {
    const keys = new Set(
      [...pageText("docs/configuration.md").matchAll(/^\| `([\w.[\]]+)`/gm)].map(([, key]) => key),
    );
    // The keys of `defaults` are those of a route.
    const isKey = (key: string) =>
      [key, key.replace(/^limits\.rate\./, "limits.rate[]."), key.replace(/^defaults\./, "")].some((form) =>
        keys.has(form),
      );
    const roots = new Set([...keys].map((key) => key?.split(/[.[]/)[0]));
    const named = [...proseOf(page).matchAll(/`([a-z]\w*(?:\.[a-z]\w*)+)(?::[^`]*)?`/g)]
      .map(([, key = ""]) => key)
      .filter((key) => roots.has(key.split(".")[0]) && !/\.(?:ya?ml|mjs|js|ts|json|conf)$/.test(key));
    expect(named.filter((key) => !isKey(key))).toEqual([]);
  });
});

test.each(["README.md", "CONTRIBUTING.md", "docs/getting-started.md", "docs/compatibility.md"])(
  "%s names the oldest Node that the package takes",
  (page) => {
    expect(pageText(page)).toContain(`Node ${packageFile.engines.node.replace(">=", "")} or newer`);
  },
);

test("the README has at most 200 lines", () => {
  expect(pageText("README.md").split("\n").length).toBeLessThanOrEqual(201);
});

test("each package that runs in sluice or in its pages has a line in Built on, and no other package has", () => {
  const section = /## Built on\n([\s\S]*?)\n## /.exec(pageText("README.md"))?.[1] ?? "";
  const named = [...section.matchAll(/^\| `([\w@/-]+)`/gm)].map(([, name]) => name);
  const copied = new Set(Object.values(BROWSER_LIBRARIES).map((library) => library.package));
  expect(named.sort()).toEqual([...Object.keys(packageFile.dependencies), ...copied].sort());
});

test("the package contains the documents", () => {
  const documents = [...new Set(PAGES.map((page) => page.split("/")[0] ?? ""))];
  const always = ["README.md"];
  for (const name of documents) expect([...always, ...packageFile.files]).toContain(name);
});

/** The help of each command: the snapshots of the command-line tests. */
const HELP = new URL("../../integration/help/", import.meta.url);
const helpOf = (name: string): string | undefined => {
  const file = new URL(`${name}.txt`, HELP);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
};

test("every command and flag of sluice that a page names exists", () => {
  const used = PAGES.flatMap((page) =>
    [...pageText(page).matchAll(/`(?:npx )?sluice ([a-z][^`\n]*)`/g)].map(([, words = ""]) => ({
      page,
      words,
    })),
  );
  const unknown = used.filter(({ words }) => {
    const [command = "", sub = ""] = words.split(" ");
    const help = command === "nginx" ? (helpOf(`nginx-${sub}`) ?? helpOf("nginx")) : helpOf(command);
    const flags = [...words.matchAll(/(?<= )--[a-z][\w-]*/g)].map(([flag]) => flag);
    return help === undefined || flags.some((flag) => !help.includes(flag));
  });
  expect(used.length).toBeGreaterThan(20);
  expect(unknown).toEqual([]);
});

test("the package contains every file that the documents link to", () => {
  const held = ["README.md", ...packageFile.files];
  const links = PAGES.flatMap(linksOf).map(({ target }) => target);
  expect(links.filter((path) => !held.some((name) => path === name || path.startsWith(`${name}/`)))).toEqual(
    [],
  );
});

test("the code writes every log line that the pages explain", () => {
  const source = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(ROOT, "src", name), "utf8"))
    .join("\n");
  const table = /## Lines in the log\n([\s\S]*)/.exec(pageText("docs/troubleshooting.md"))?.[1] ?? "";
  const lines = [...table.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, line = ""]) => line),
  );
  expect(lines.length).toBeGreaterThan(10);
  expect(lines.filter((line) => !source.includes(line))).toEqual([]);
});
