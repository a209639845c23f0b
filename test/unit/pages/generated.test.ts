import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { savedRows, table } from "../../field/report.mjs";
import { benchMachine, benchTable, costTable } from "../../support/bench-table.ts";
import { errorTable } from "../../support/error-table.ts";
import { generated, pageText } from "../../support/pages.ts";
import { referenceTable } from "../../support/reference.ts";

/** `npm run docs` writes these parts. Without it, the tests fail if a part is out of date. */
test.each(["route", "server", "apps"] as const)("the reference lists the keys of the %s file", (name) => {
  const { is, shouldBe } = generated("docs/configuration.md", `reference:${name}`, referenceTable(name));
  expect(is).toBe(shouldBe);
});

test("the table of errors lists every error", () => {
  const { is, shouldBe } = generated("docs/errors.md", "errors", errorTable());
  expect(is).toBe(shouldBe);
});

test.each(["streams", "shared", "growth"] as const)("the table of %s shows the saved results", (name) => {
  const { is, shouldBe } = generated("docs/benchmarks.md", `bench:${name}`, benchTable(name));
  expect(is).toBe(shouldBe);
});

test("the table of costs shows the saved results", () => {
  const { is, shouldBe } = generated("docs/benchmarks.md", "bench:costs", costTable());
  expect(is).toBe(shouldBe);
});

test("the benchmarks name the machine of the saved results", () => {
  const { is, shouldBe } = generated("docs/benchmarks.md", "bench:machine", benchMachine());
  expect(is).toBe(shouldBe);
});

test.each(["clients", "applications"] as const)("the table of %s shows the saved results", (folder) => {
  const content = table(savedRows(folder));
  const { is, shouldBe } = generated("docs/compatibility.md", `field:${folder}`, content);
  expect(is).toBe(shouldBe);
});

/** Matches a declaration such as `new Gauge({ name: "sluice_ready", help: "…", labelNames: ["route"] })`. */
const DECLARATION =
  /new (Counter|Gauge|RouteHistogram|BackendHistogram)\(\{\s*name: "(sluice_\w+)"([\s\S]*?)\n\s*\}\)/g;
const ROW = /^\| `(sluice_\w+)` \| (\w+) \| ((?:`\w+`(?:, )?)*) ?\|/gm;

const metricsOf = (text: string): string[] =>
  [...text.matchAll(DECLARATION)].map(([, kind, name, rest = ""]) => {
    const labels = /labelNames: \[([^\]]*)\]/.exec(rest)?.[1]?.replaceAll('"', "") ?? "";
    const own = { RouteHistogram: "histogram route", BackendHistogram: "histogram route, backend" }[
      kind ?? ""
    ];
    return own === undefined ? `${name} ${kind?.toLowerCase()} ${labels}` : `${name} ${own}`;
  });

test("the table of metrics lists every metric with its type and labels", () => {
  const directory = new URL("../../../src/observe/", import.meta.url);
  const declared = readdirSync(directory).flatMap((file) =>
    metricsOf(readFileSync(new URL(file, directory), "utf8")),
  );
  const described = [...pageText("docs/metrics.md").matchAll(ROW)].map(
    ([, name, kind, labels = ""]) => `${name} ${kind} ${labels.replaceAll("`", "")}`,
  );
  expect(described.length).toBeGreaterThan(15);
  expect(described.toSorted()).toEqual([...new Set(declared)].toSorted());
});
