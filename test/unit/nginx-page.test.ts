import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import packageFile from "../../package.json" with { type: "json" };
import { FACTS } from "../../src/nginx/lint/facts.ts";
import { formatSarif } from "../../src/nginx/lint/format-sarif.ts";
import { RULES } from "../../src/nginx/lint/rules.ts";
import { lintBlock, NGINX_PAGE, nginxBlocks } from "../support/nginx-page.ts";
import { ruleTable } from "../support/rule-table.ts";

const text = () => readFileSync(NGINX_PAGE, "utf8");

/** `npm run docs` writes the table; without it this test says that it is out of date. */
test("the table of the rules is what lint's rules say of themselves", async () => {
  const block = /(<!-- rules -->\n)[\s\S]*?(<!-- end -->)/;
  const table = await ruleTable();
  const current = text().replace(block, (_, open: string, end: string) => `${open}${table}\n${end}`);
  if (process.env["WRITE_DOCS"] === "true") writeFileSync(NGINX_PAGE, current);
  expect(text()).toMatch(block);
  expect(text()).toBe(current);
});

test("every fact that a rule names has its sentence, and no sentence is left of a fact that went", () => {
  const named = new Set(RULES.flatMap(({ facts }) => facts));
  expect(Object.keys(FACTS).toSorted()).toEqual([...named].toSorted());
});

test.each(nginxBlocks())(
  "lint finds in a configuration of the page what stands above it: line $line",
  async (block) => {
    expect(await lintBlock(block)).toEqual(block.rules);
  },
);

test("every rule that the page names is one of lint's", () => {
  const named = [...text().matchAll(/\[`([\w.-]+)`\]\(#([\w.-]+)\)/g)];
  expect(named.length).toBeGreaterThan(5);
  const ids = RULES.map(({ id }) => id);
  for (const [, name = "", anchor] of named) {
    expect(ids).toContain(name);
    expect(anchor).toBe(name);
  }
});

test("code-scanning services get the sentences of the facts, too", () => {
  const log = JSON.parse(formatSarif([], "1.0.0")) as {
    runs: { tool: { driver: { rules: { id: string; help: { text: string } }[] } } }[];
  };
  const rule = log.runs[0]?.tool.driver.rules.find(({ id }) => id === "chunked-off");
  expect(rule?.help.text).toContain(`${FACTS["E3"]}`);
});

test("every file that the page names is there", () => {
  const paths = [...text().matchAll(/`((?:test|src|config|docker)\/[\w./-]+)`/g)].map(
    ([, path]) => path ?? "",
  );
  expect(paths.length).toBeGreaterThan(0);
  expect(paths.filter((path) => !existsSync(new URL(`../../${path}`, import.meta.url)))).toEqual([]);
});

test("the package holds the page", () => {
  expect(packageFile.files).toContain("docs");
});
