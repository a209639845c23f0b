import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { MEASUREMENTS } from "./measurements.mjs";
import { picture } from "./picture.mjs";
import { alone } from "./processes.mjs";
import { compilePrograms, providePrograms } from "./programs.mjs";
import { PROXIES } from "./proxies.mjs";
import { report, table, verdicts } from "./report.mjs";
import { measure } from "./session.mjs";

/**
 * Measures sluice beside other proxies: `npm run bench`, after `npm run build`.
 *
 *   --rounds N           rounds; each measures every proxy once, in changing order (default 5)
 *   --only A,B           some of the measurements (measurements.mjs); "relay" is relay alone
 *   --proxies A,B        some of the proxies; without nginx there are no ratios
 *   --repeats N          how often a measurement is repeated that other processes disturbed (default 2)
 *   --cpu-prof DIR       sluice runs with --cpu-prof: one profile a measurement, for Chrome's DevTools
 *   --cli FILE           another build of sluice: its dist/cli/main.js
 *   --baseline FILE      a second build of sluice, as a proxy of its own named baseline, in the same rounds
 *   --save               writes results/bench.json and results/bench.svg, which the README shows
 *
 * To see the kernel's part as well: `perf record -g -p PID` on the proxy while a measurement runs.
 */
const RESULTS = new URL("results/", import.meta.url).pathname;
/** Above this share of a core used by others a measurement counts as disturbed. */
const MAX_OTHERS = 0.15;

const list = (text, all) => {
  if (text === undefined) return all;
  const names = text.split(",");
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(", ")}; there are ${all.join(", ")}`);
  return names;
};

function readOptions() {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      repeats: { type: "string", default: "2" },
      only: { type: "string" },
      proxies: { type: "string" },
      "cpu-prof": { type: "string" },
      cli: { type: "string" },
      baseline: { type: "string" },
      save: { type: "boolean", default: false },
    },
  });
  const allProxies = Object.keys(PROXIES);
  const named = list(
    values.proxies,
    values.baseline ? allProxies : allProxies.filter((name) => name !== "baseline"),
  );
  return {
    rounds: Number(values.rounds),
    repeats: Number(values.repeats),
    only: list(values.only, Object.keys(MEASUREMENTS)),
    proxies: values.baseline ? [...new Set([...named, "baseline"])] : named,
    cli: values.cli && resolve(values.cli),
    baseline: values.baseline && resolve(values.baseline),
    profile: values["cpu-prof"] && resolve(values["cpu-prof"]),
    save: values.save,
  };
}

/** Rotated, so that no proxy is always the first or always after the same one. */
const rotated = (items, by) => items.map((_, i) => items[(i + by) % items.length]);

/** Repeats what was disturbed, and returns the quietest try. */
async function measureQuietly(name, measurement, options) {
  const once = () => alone(() => measure(name, measurement, options));
  let best = await once();
  for (let i = 0; i < options.repeats && best.fault === undefined && best.others > MAX_OTHERS; i++) {
    const again = await once();
    if (again.fault === undefined && again.others < best.others) best = again;
  }
  return best;
}

function say(round, id, name, { figures, fault, others }) {
  const what = fault ?? Object.entries(figures).map(([key, value]) => `${key} ${value.toPrecision(4)}`);
  const disturbed =
    others > MAX_OTHERS ? `  disturbed: others used ${Math.round(others * 100)} % of a core` : "";
  console.error(
    `${round} ${id.padEnd(15)}${name.padEnd(21)}${String(what).replaceAll(",", "  ")}${disturbed}`,
  );
}

async function runRounds(options) {
  const results = Object.fromEntries(options.only.map((id) => [id, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const id of options.only) {
      const measurement = MEASUREMENTS[id];
      const names = measurement.proxies.filter((name) => options.proxies.includes(name));
      results[id][round] = {};
      for (const name of rotated(names, round)) {
        const result = await measureQuietly(name, measurement, options);
        results[id][round][name] = result;
        say(round + 1, id, name, result);
      }
    }
  }
  return results;
}

async function main() {
  const options = readOptions();
  if (cpus().length < 2)
    throw new Error("the benchmark needs two cores: one for the proxy, one for the load");
  providePrograms();
  const directory = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  try {
    const programs = compilePrograms(directory);
    const results = await runRounds({ ...options, programs, directory });
    const rows = report(MEASUREMENTS, results);
    console.log(`\n${table(rows)}\n\n${verdicts(rows).join("\n")}`);
    if (options.save) save(rows);
    return verdicts(rows).some((text) => text.includes("FAIL")) ? 1 : 0;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const briefly = (_key, value) => (typeof value === "number" ? Number(value.toPrecision(4)) : value);

function save(rows) {
  const machine = { cpu: cpus()[0].model, cores: cpus().length, node: process.version, load: loadavg() };
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, "bench.json"), `${JSON.stringify({ machine, rows }, briefly, 1)}\n`);
  writeFileSync(join(RESULTS, "bench.svg"), picture(rows));
}

process.exitCode = await main();
