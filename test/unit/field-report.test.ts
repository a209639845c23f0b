import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { differences, problems, savedRows, summary, table } from "../field/report.mjs";

const good = { tokens: "yes", error: "yes" };
const late = { tokens: "late", error: "yes" };
const broken = { tokens: "no end", error: "yes" };
const ways = {
  direct: good,
  sluice: good,
  "nginx 1.22": late,
  "nginx 1.22, sluice": good,
  "nginx 1.30": good,
  "nginx 1.30, sluice": good,
};

/** A result of the field test in which these ways have other outcomes. */
const resultOf = (other: object, settings: object = {}, needs?: string) => ({
  label: "client",
  packages: ["openai"],
  ...(needs !== undefined && { needs }),
  settings: { defaults: { ...ways, ...other }, ...settings },
});

test("a way that is as good with sluice as without it is no problem", () => {
  expect(problems("clients/x", resultOf({}))).toEqual([]);
});

test.each([
  ["sluice", late],
  ["sluice", { ...good, error: "hidden" }],
  ["nginx 1.22, sluice", broken],
  ["nginx 1.30, sluice", late],
])("%s that is worse than without sluice is a problem", (way, outcomes) => {
  const found = problems("clients/x", resultOf({ [way]: outcomes }, { contentTypes: { [way]: good } }));
  expect(found).toEqual([expect.stringContaining(`is worse with sluice: ${way}`)]);
});

test("a way that no setting helps is a problem, also if it is as bad without sluice", () => {
  const found = problems("clients/x", resultOf({ "nginx 1.22, sluice": late }));
  expect(found).toEqual([expect.stringContaining("no setting helps: nginx 1.22, sluice")]);
});

test("a client that works only with a setting is a problem unless it needs that setting by design", () => {
  const other = { sluice: broken };
  const settings = { websocket: { sluice: good } };
  expect(problems("clients/x", resultOf(other, settings))).toHaveLength(1);
  expect(problems("clients/x", resultOf(other, settings, "websocket"))).toEqual([]);
  expect(problems("clients/x", resultOf(other, {}, "websocket"))).toHaveLength(2);
});

test("a client that fails without a proxy is a problem of the test", () => {
  const [problem] = problems("clients/x", resultOf({ direct: broken }));
  expect(problem).toContain("fails without a proxy");
});

test("the summary names the first setting with which a way works", () => {
  const settings = {
    contentTypes: { "nginx 1.22, sluice": good },
    websocket: { "nginx 1.22, sluice": good },
  };
  const other = { "nginx 1.22": broken, "nginx 1.22, sluice": late };
  expect(summary(resultOf(other, settings)).ways).toEqual({
    sluice: "works",
    "nginx 1.22": "no",
    "nginx 1.22, sluice": "contentTypes",
    "nginx 1.30": "works",
    "nginx 1.30, sluice": "works",
  });
});

test("an outcome that differs from the saved results is reported", () => {
  const saved = summary(resultOf({}));
  expect(differences("clients/x", resultOf({}), saved)).toEqual([]);
  expect(differences("clients/x", resultOf({ sluice: late }), saved)).toHaveLength(1);
  expect(differences("clients/x", resultOf({}), {})).toHaveLength(5);
});

test("the table has a row for each client, with the version of its package", () => {
  expect(table([summary(resultOf({}))])).toMatch(
    /\| client \| \d+\.\d+\.\d+ \| works \| late \| works \| works \| works \|$/,
  );
});

test.each(["clients", "applications"] as const)("each file of %s has saved results", (folder) => {
  const files = readdirSync(new URL(`../field/${folder}`, import.meta.url)).filter((name) =>
    name.endsWith(".mjs"),
  );
  expect(savedRows(folder)).toHaveLength(files.length);
});
