import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { MEASUREMENTS } from "./measurements.mjs";
import { picture } from "./picture.mjs";
import { alone } from "./processes.mjs";
import { compilePrograms, providePrograms } from "./programs.mjs";
import { PROXIES, proxyOf } from "./proxies.mjs";
import { changes, report, table, verdicts } from "./report.mjs";
import { measureOnce, startSession } from "./session.mjs";

/**
 * Measures sluice beside other proxies: `npm run bench`, after `npm run build`.
 *
 *   --rounds N           rounds; each starts every proxy again, in a changing order (default 3)
 *   --only A,B           some of the measurements (measurements.mjs), by their exact names
 *   --proxies A,B        some of the proxies; without nginx there are no ratios
 *   --repeats N          the maximum number of repeats of a disturbed measurement (default 2)
 *   --cpu-prof DIR       sluice runs with --cpu-prof: one profile per measurement, for Chrome's DevTools
 *   --cli FILE           another build of sluice: its dist/cli/main.js
 *   --baseline FILE      a second build of sluice, as another proxy named baseline, in the same rounds
 *   --quick              the figures that a change may harm, in less than 4 minutes: one round with few turns; fails if a
 *                        figure is more than 10 % worse than that of the saved baseline in the same turns
 *   --save-baseline      keeps the present build as the baseline of later runs with --quick
 *   --save               writes results/bench.json and results/bench.svg, which docs/benchmarks.md shows
 *
 * To see the kernel's part too: `perf record -g -p PID` on the proxy while a measurement runs.
 */
const BUILD = new URL("../../dist/", import.meta.url).pathname;
/** A copy of a build, with the package.json that it reads. */
const BASELINE = new URL("baseline/", import.meta.url).pathname;
const QUICK = ["relay", "opens", "ordinary", "download", "upload", "shared-1000"];
const QUICK_PROXIES = ["nginx", "floor", "sluice", "baseline"];
const QUICK_TURNS = 3;
const RESULTS = new URL("results/", import.meta.url).pathname;
/** If other processes use more than this share of a core, a measurement counts as disturbed. */
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
      rounds: { type: "string", default: "3" },
      repeats: { type: "string", default: "2" },
      only: { type: "string" },
      proxies: { type: "string" },
      "cpu-prof": { type: "string" },
      cli: { type: "string" },
      baseline: { type: "string" },
      quick: { type: "boolean", default: false },
      "save-baseline": { type: "boolean", default: false },
      save: { type: "boolean", default: false },
    },
  });
  const { quick } = values;
  const saved = join(BASELINE, "dist/cli/main.js");
  const baseline = values.baseline ?? (quick && existsSync(saved) ? saved : undefined);
  const all = quick ? QUICK_PROXIES : Object.keys(PROXIES);
  const named = list(
    values.proxies,
    all.filter((name) => name !== "baseline"),
  );
  return {
    quick,
    rounds: quick ? 1 : Number(values.rounds),
    repeats: quick ? 0 : Number(values.repeats),
    turns: quick ? QUICK_TURNS : Number.POSITIVE_INFINITY,
    only: values.only === undefined && quick ? QUICK : list(values.only, Object.keys(MEASUREMENTS)),
    proxies: baseline ? [...new Set([...named, "baseline"])] : named,
    cli: values.cli && resolve(values.cli),
    baseline: baseline && resolve(baseline),
    profile: values["cpu-prof"] && resolve(values["cpu-prof"]),
    save: values.save,
    savesBaseline: values["save-baseline"],
  };
}

/** Rotates the proxies, so that none is always the first or always after the same one. */
const rotated = (items, by) => items.map((_, i) => items[(i + by) % items.length]);

/** Repeats a disturbed measurement, and returns the least disturbed try. */
async function measureQuietly(session, name, measurement, repeats) {
  let best = await measureOnce(session, name, measurement);
  for (let i = 0; i < repeats && best.others > MAX_OTHERS; i++) {
    const again = await measureOnce(session, name, measurement);
    if (again.others < best.others) best = again;
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

/** Calls `work`; an error is recorded for this proxy and does not end the others. */
async function faultOf(work) {
  try {
    return await work();
  } catch (error) {
    return { fault: error.message };
  }
}

/** Measures one after another, each in its own processes. */
async function measureApart(id, names, options) {
  const measurement = MEASUREMENTS[id];
  const results = {};
  for (const name of names) {
    results[name] = await faultOf(async () => {
      const session = await startSession(name, measurement, options);
      try {
        return await measureQuietly(session, name, measurement, options.repeats);
      } finally {
        await session.close();
      }
    });
  }
  return [results];
}

/**
 * Starts all, and measures them in turns of a second or two, so that a slow phase of the machine affects all of
 * them. A shared machine changes its speed by half within minutes.
 */
async function measureInTurns(id, names, options) {
  const measurement = MEASUREMENTS[id];
  const sessions = new Map();
  const faults = {};
  const turns = [];
  try {
    for (const name of names) {
      const found = await faultOf(() => startSession(name, measurement, options));
      if (found.fault === undefined) sessions.set(name, found);
      else faults[name] = found;
    }
    for (let turn = 0; turn < Math.min(measurement.turns, options.turns); turn++) {
      const results = { ...faults };
      for (const name of rotated([...sessions.keys()], turn)) {
        const session = sessions.get(name);
        results[name] = await faultOf(() => measureQuietly(session, name, measurement, options.repeats));
      }
      turns.push(results);
    }
  } finally {
    for (const session of sessions.values()) await session.close();
  }
  return turns;
}

async function runRounds(options) {
  const results = Object.fromEntries(options.only.map((id) => [id, []]));
  for (let round = 0; round < options.rounds; round++) {
    for (const id of options.only) {
      const measurement = MEASUREMENTS[id];
      const names = rotated(
        measurement.proxies.filter((name) => options.proxies.includes(proxyOf(name))),
        round,
      );
      const measureAll = measurement.turns === undefined ? measureApart : measureInTurns;
      const turns = await alone(() => measureAll(id, names, options));
      for (const turn of turns) for (const name of names) say(round + 1, id, name, turn[name]);
      results[id].push(...turns);
    }
  }
  return results;
}

function saveBaseline() {
  rmSync(BASELINE, { recursive: true, force: true });
  cpSync(BUILD, join(BASELINE, "dist"), { recursive: true });
  cpSync(new URL("../../package.json", import.meta.url).pathname, join(BASELINE, "package.json"));
}

async function main() {
  const options = readOptions();
  if (options.savesBaseline) {
    saveBaseline();
    return 0;
  }
  if (cpus().length < 2)
    throw new Error("the benchmark needs two cores: one for the proxy, one for the load");
  providePrograms();
  const directory = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  try {
    const programs = compilePrograms(directory);
    const results = await runRounds({ ...options, programs, directory });
    const rows = report(MEASUREMENTS, results);
    const bounds = verdicts(rows);
    const compared = changes(rows);
    console.log(`\n${table(rows)}\n\n${[...bounds, ...compared].join("\n")}`);
    if (options.save) save(rows);
    // A bound that the saved build misses too says nothing about the change.
    const deciding = options.quick && compared.length > 0 ? compared : [...bounds, ...compared];
    return deciding.some((text) => text.includes("FAIL")) ? 1 : 0;
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
