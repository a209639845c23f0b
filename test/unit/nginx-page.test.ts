import { expect, test } from "vitest";
import { FACTS } from "../../src/nginx/lint/facts.ts";
import { formatSarif } from "../../src/nginx/lint/format-sarif.ts";
import { RULES } from "../../src/nginx/lint/rules.ts";
import { lintBlock, nginxBlocks } from "../support/nginx-page.ts";
import { generated, pageText } from "../support/pages.ts";
import { ruleTable } from "../support/rule-table.ts";

const text = () => pageText("docs/nginx.md");

/** `npm run docs` writes the table; otherwise this test only checks it. */
test("the table of the rules matches lint's rules", async () => {
  const { is, shouldBe } = generated("docs/nginx.md", "rules", await ruleTable());
  expect(is).toBe(shouldBe);
});

test("every fact that a rule names has a sentence, and no sentence is unused", () => {
  const named = new Set(RULES.flatMap(({ facts }) => facts));
  expect(Object.keys(FACTS).toSorted()).toEqual([...named].toSorted());
});

test.each(nginxBlocks())(
  "lint's findings for a configuration of the page are those of the comment above it: line $line",
  async (block) => {
    expect(await lintBlock(block)).toEqual(block.rules);
  },
);

test("every rule that the page names exists", () => {
  const named = [...text().matchAll(/\[`([\w.-]+)`\]\(#([\w.-]+)\)/g)];
  expect(named.length).toBeGreaterThan(5);
  const ids = RULES.map(({ id }) => id);
  for (const [, name = "", anchor] of named) {
    expect(ids).toContain(name);
    expect(anchor).toBe(name);
  }
});

test("the SARIF output contains the sentences of the facts", () => {
  const log = JSON.parse(formatSarif([], "1.0.0")) as {
    runs: { tool: { driver: { rules: { id: string; help: { text: string } }[] } } }[];
  };
  const rule = log.runs[0]?.tool.driver.rules.find(({ id }) => id === "chunked-off");
  expect(rule?.help.text).toContain(`${FACTS["E3"]}`);
});
