import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { startBusyGateway } from "../support/busy-gateway.ts";
import { attempt } from "../support/command.ts";
import { eventually } from "../support/eventually.ts";
import { DASHBOARD, filledIn, overlap } from "../support/grafana-dashboard.ts";
import { blocksOf, pageText } from "../support/pages.ts";
import { PROMTOOL, type Prometheus, startPrometheus } from "../support/prometheus.ts";
import { directoryOf, ROOT } from "../support/sluice-process.ts";

const readText = (file: string) => readFileSync(join(ROOT, "docker/observe", file), "utf8");
const readRules = () => parse(readText("alerts.yaml")).groups[0].rules as readonly Rule[];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const promtool = (args: readonly string[], input?: string) =>
  attempt(PROMTOOL, args, { cwd: ROOT, ...(input !== undefined && { input }) });

/** The metrics in an expression. */
const metricsIn = (expr: string) => expr.match(/\b(?:sluice|process|nodejs)_\w+/g) ?? [];

/** Every query of the dashboard. */
const queries = [
  ...DASHBOARD.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr }))),
  ...DASHBOARD.annotations.list.map(({ expr }) => ({ title: "annotation", expr })),
];

/** Empty as long as nothing is wrong. */
const EMPTY_WHEN_WELL = ["Firing alerts", "annotation"];

/** Returns the scrape configuration of the sample, for a gateway on this machine and without its waiting times. */
function configFor({ admin, tokenFile }: { readonly admin: string; readonly tokenFile: string }): string {
  const sample = readText("prometheus.yaml");
  const replaced = sample
    .replace("/run/secrets/sluice-token", tokenFile)
    .replace("sluice:9900", admin)
    .replaceAll("15s", "1s");
  expect(sample.match(/\/run\/secrets\/sluice-token|sluice:9900|15s/g)).toHaveLength(4);
  const withoutToken = `  - job_name: without-token\n    static_configs: [{ targets: ["${admin}"] }]\n`;
  return directoryOf({ "prometheus.yaml": replaced + withoutToken, "alerts.yaml": readText("alerts.yaml") });
}

/** Waits until a query has a result: rates need two scrapes. */
const hasData = (prometheus: Prometheus, expr: string) =>
  eventually(async () => (await prometheus.query(expr)).length > 0, `data for ${expr}`, { everyMs: 100 });

test("Prometheus scrapes a busy gateway with the token, and the dashboard and alerts have data", async () => {
  const gateway = await startBusyGateway();
  await gateway.visit();
  const directory = configFor(gateway);
  const checked = await promtool(["check", "config", join(directory, "prometheus.yaml")]);
  expect(checked, checked.output).toMatchObject({ code: 0 });

  const headers = { Authorization: `Bearer ${gateway.token}` };
  const scrape = await (await fetch(`http://${gateway.admin}/metrics`, { headers })).text();
  const named = [...pageText("docs/metrics.md").matchAll(/^\| `(sluice_\w+)` \|/gm)].map(([, name]) => name);
  // Every metric is there, so that promtool sees all of them.
  const hasSample = (name = "") => new RegExp(`^${name}(_count)?[ {]`, "m").test(scrape);
  expect(named.filter((name) => !hasSample(name))).toEqual([]);
  expect(await promtool(["check", "metrics"], scrape)).toMatchObject({ code: 0, output: "" });

  const prometheus = await startPrometheus(join(directory, "prometheus.yaml"));
  await hasData(prometheus, 'up{job="sluice"} == 1');
  await hasData(prometheus, 'up{job="without-token"} == 0');
  for (const { title, expr } of queries) {
    if (EMPTY_WHEN_WELL.includes(title)) await prometheus.query(filledIn(expr));
    else await hasData(prometheus, filledIn(expr));
  }
  for (const { query } of DASHBOARD.templating.list) {
    const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(queryText(query)) ?? [];
    if (selector !== undefined) await hasData(prometheus, `count by (${label}) (${filledIn(selector)})`);
  }
  const rules = readRules();
  for (const { expr } of rules) {
    await prometheus.query(expr);
    for (const metric of metricsIn(expr)) await hasData(prometheus, metric);
  }
  // The rules run in it too, and the alert about the dead backend waits for its minute.
  await hasData(prometheus, 'ALERTS{alertname="SluiceBackendDown", route="dead", alertstate="pending"}');
  const { groups } = (await prometheus.api("rules")) as { groups: [{ rules: { health: string }[] }] };
  expect(groups[0].rules.map(({ health }) => health)).toEqual(rules.map(() => "ok"));
});

function queryText(query: unknown): string {
  return typeof query === "string" ? query : (query as { readonly query: string }).query;
}

describe("alerts", () => {
  test("each has a test, a severity, and a description that says what to do", () => {
    const tests = parse(readText("alerts.test.yaml")).tests as readonly { readonly name: string }[];
    const rules = readRules();
    expect([...new Set(tests.map(({ name }) => name))]).toEqual(rules.map(({ alert }) => alert));
    for (const { labels, annotations } of rules) {
      expect(["critical", "warning"]).toContain(labels["severity"]);
      expect(Object.keys(annotations)).toEqual(["summary", "description"]);
    }
  });

  test("control: an alert that never fires fails its test", async () => {
    const rules = readText("alerts.yaml").replace("expr: sluice_ready == 0", "expr: sluice_ready == 2");
    const { tests, ...rest } = parse(readText("alerts.test.yaml"));
    const own = (tests as readonly { readonly name: string }[]).filter(
      ({ name }) => name === "SluiceNotReady",
    );
    const directory = directoryOf({
      "alerts.yaml": rules,
      "alerts.test.yaml": stringify({ ...rest, tests: own }),
    });
    const { code, output } = await promtool(["test", "rules", join(directory, "alerts.test.yaml")]);
    expect(code).toBe(1);
    expect(output).toContain("SluiceNotReady");
  });
});

describe("the dashboard", () => {
  test("its panels have their own places and names, health first", () => {
    const { panels } = DASHBOARD;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const clashes = panels.flatMap((panel, at) => panels.slice(at + 1).filter((one) => overlap(panel, one)));
    expect(clashes.map(({ title }) => title)).toEqual([]);
    expect(panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
    const rows = panels.filter(({ type }) => type === "row").map(({ title }) => title);
    expect(rows[0]).toBe("Health");
    const titles = panels.map(({ title }) => title);
    expect(titles).toHaveLength(new Set(titles).size);
  });

  test("every metric of sluice is on it or in an alert", () => {
    const shown = new Set([...queries, ...readRules()].flatMap(({ expr }) => metricsIn(expr)));
    const named = [...pageText("docs/metrics.md").matchAll(/^\| `(sluice_\w+)` \|/gm)].map(
      ([, name = ""]) => name,
    );
    const isShown = (name: string) => shown.has(name) || shown.has(`${name}_bucket`);
    expect(named.filter((name) => !isShown(name))).toEqual(["sluice_config_reloads_total"]);
  });
});

test("the commands of the page succeed: the files are valid, and each alert fires when it should, and only then", async () => {
  const blocks = blocksOf("docs/metrics.md").filter(({ text }) => text.includes("promtool"));
  const commands = blocks.flatMap(({ text }) => text.trim().split("\n"));
  expect(commands).toContain("promtool test rules docker/observe/alerts.test.yaml");
  for (const command of commands) {
    const { code, output } = await attempt("bash", ["-c", command], { cwd: ROOT });
    expect({ command, code, output }).toMatchObject({ command, code: 0 });
  }
});
