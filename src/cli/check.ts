import { visibleText } from "../base/visible-text.ts";
import { formatProblem } from "../config/problem.ts";
import type { RouteConfig } from "../config/route-schema.ts";
import type { BackendConfig } from "../config/upstream-schema.ts";
import { withoutFinalSlashes } from "../http/final-slashes.ts";
import { type Command, DEFAULT_DIRECTORY, EXIT, refuse } from "./command.ts";

import { parseFlags } from "./flags.ts";

/** `sluice check`: validates a configuration directory and shows its routes. */
export const check: Command = {
  help: `Usage: sluice check [--config DIR]

Validates a configuration as serve does, and whether this machine lets serve
listen. Prints its routes in matching order and exits with 0, or prints every
problem to standard error and exits with 2.

  --config DIR  the configuration directory (${DEFAULT_DIRECTORY})
`,
  async run(args) {
    const flags = parseFlags(args, { config: "one" });
    // Loaded only now: the help and a wrong flag need no schemas.
    const { loadConfig } = await import("../config/load.ts");
    const { warningsOf } = await import("../config/warnings.ts");
    const { inMatchingOrder } = await import("../routing/router.ts");
    const { machineProblems } = await import("./machine-problems.ts");
    const directory = flags.one("config") ?? DEFAULT_DIRECTORY;
    const loaded = loadConfig(directory, process.env);
    if ("problems" in loaded) return refuse(loaded.problems);
    const problems = machineProblems(loaded.config, `${withoutFinalSlashes(directory, 1)}/sluice.yaml`);
    if (problems.length > 0) return refuse(problems);
    for (const { message, ...place } of warningsOf(loaded.config)) {
      const warning = formatProblem({ ...place, message: `warning: ${message}` });
      process.stderr.write(visibleText(`${warning}\n`));
    }
    process.stdout.write(visibleText(routeTable(inMatchingOrder(loaded.config.routes))));
    return EXIT.done;
  },
};

/** Returns the routes as a table, in the given order. */
export function routeTable(routes: readonly RouteConfig[]): string {
  return table([
    ["ROUTE", "HOST", "PATH", "METHODS", "UPSTREAM"],
    ...routes.map(({ name, match, upstream, mock }) => [
      name,
      match.host?.join(",") ?? "any",
      [match.path, ...conditionCells(match)].join(" "),
      match.methods?.join(",") ?? "any",
      upstream?.backends.map(backendCell).join(" ") ?? (mock === undefined ? "" : "mock"),
    ]),
  ]);
}

/** Returns the conditions of a match, such as `X-Api-Version=2 ?beta=1`. */
function conditionCells({ header = {}, query = {} }: RouteConfig["match"]): string[] {
  return [
    ...Object.entries(header).map(([name, value]) => `${name}=${value}`),
    ...Object.entries(query).map(([name, value]) => `?${name}=${value}`),
  ];
}

/** Returns a backend's url, with its weight and its role as a backup if they are not the defaults. */
function backendCell({ url, weight, backup }: BackendConfig): string {
  const marks = [...(weight === 1 ? [] : [`weight ${weight}`]), ...(backup ? ["backup"] : [])];
  return marks.length === 0 ? url.url : `${url.url} (${marks.join(", ")})`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return rows.map((row) => `${line(row).trimEnd()}\n`).join("");
}
