import { fork, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { inspect, parseArgs } from "node:util";
import { differences, problems, summary, table } from "./report.mjs";
import { trusting } from "./tls.mjs";
import { missingBuilds } from "./ways.mjs";

/**
 * Takes real clients and applications through sluice: `npm run test:field`.
 *
 *   NAME...   some of them, such as clients/openai
 *   --verbose prints the outcome of each check
 *   --save    writes results.json, which docs/compatibility.md shows; `npm run docs` then writes the page
 *
 * Each is tried alone, through sluice, and through two builds of nginx with and without sluice behind it. The run
 * fails if a way is worse with sluice than without, if no setting helps, or if the results differ from results.json. NGINX_LAB names the
 * directory with bin/nginx-1.30.
 */
const HERE = new URL(".", import.meta.url).pathname;
const RESULTS = `${HERE}results.json`;
const CERTIFICATE = `${HERE}node_modules/.certificate.pem`;
/** A copy of the lockfile that is installed. */
const INSTALLED = `${HERE}node_modules/.installed.json`;
/** Most of the time is waiting for parts that nginx holds, so more than the cores of a small machine. */
const AT_ONCE = 6;
const SUBJECT_MS = 180_000;
/** A result that is not as expected is tried again: a machine may stand still for seconds. */
const TRIES = 3;

const subjectsOf = (folder) =>
  readdirSync(`${HERE}${folder}`)
    .filter((name) => name.endsWith(".mjs"))
    .map((name) => `${folder}/${name.replace(".mjs", "")}`);

/** Installs the packages of package-lock.json, if that has not been done. */
function install() {
  const lock = readFileSync(`${HERE}package-lock.json`, "utf8");
  if (existsSync(INSTALLED) && readFileSync(INSTALLED, "utf8") === lock) return;
  const args = ["ci", "--prefix", HERE, "--ignore-scripts", "--no-audit", "--no-fund"];
  const { status } = spawnSync("npm", args, { stdio: "inherit" });
  if (status !== 0) throw new Error("npm ci of test/field failed");
  writeFileSync(INSTALLED, lock);
}

const running = new Set();

/** Runs one subject in a process group of its own, which ends with it. */
function runOnce(name) {
  return new Promise((resolve) => {
    const child = fork(`${HERE}subject.mjs`, [name], {
      detached: true,
      env: trusting(CERTIFICATE),
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    running.add(child);
    let printed = "";
    for (const output of [child.stdout, child.stderr]) output.on("data", (text) => (printed += text));
    const timer = setTimeout(() => endGroup(child), SUBJECT_MS);
    let results;
    child.once("message", (message) => {
      results = message;
    });
    child.once("exit", () => {
      clearTimeout(timer);
      running.delete(child);
      endGroup(child);
      resolve(results ?? { fault: printed.slice(-2_000) || "no end" });
    });
  });
}

function endGroup(child) {
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // All have ended.
  }
}

/** What is wrong with a result; `expected` is its saved summary, if it is compared. */
function problemsOf(name, result, expected) {
  if (result.fault !== undefined) return [`${name}: ${result.fault}`];
  return [...problems(name, result), ...(expected ? differences(name, result, expected) : [])];
}

async function runSubject(name, expected) {
  for (let count = 1; ; count += 1) {
    const result = await runOnce(name);
    const found = problemsOf(name, result, expected);
    if (found.length > 0 && count < TRIES) continue;
    console.log([`ran ${name}`, ...found].join("\n  "));
    return { result, found };
  }
}

async function runAll(names, expectedOf) {
  const found = new Map(names.map((name) => [name, undefined]));
  const left = names.toReversed();
  const work = async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop())
      found.set(name, await runSubject(name, expectedOf(name)));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return found;
}

async function main() {
  const boolean = { type: "boolean", default: false };
  const options = { save: boolean, verbose: boolean };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const missing = missingBuilds();
  if (missing.length > 0) throw new Error(`missing: ${missing.join(", ")}: set NGINX_PATH and NGINX_LAB`);
  install();
  const saved = JSON.parse(readFileSync(RESULTS, "utf8"));
  const names =
    positionals.length > 0 ? positionals : [...subjectsOf("applications"), ...subjectsOf("clients")];
  const found = await runAll(names, (name) => (values.save ? undefined : (saved[name] ?? {})));
  const rows = [...found]
    .filter(([, { result }]) => result.fault === undefined)
    .map(([name, { result }]) => [name, summary(result)]);
  if (values.verbose) for (const [, { result }] of found) console.log(inspect(result, { depth: 5 }));
  console.log(`\n${table(rows.map(([, row]) => row))}\n`);
  if (values.save) save({ ...(positionals.length > 0 ? saved : {}), ...Object.fromEntries(rows) });
  const wrong = [...found.values()].flatMap((one) => one.found);
  console.log(wrong.length === 0 ? "never worse than without sluice" : wrong.join("\n"));
  return wrong.length === 0 ? 0 : 1;
}

const save = (rows) => {
  const sorted = Object.entries(rows).toSorted(([a], [b]) => a.localeCompare(b, "en"));
  writeFileSync(RESULTS, `${JSON.stringify(Object.fromEntries(sorted), null, 1)}\n`);
};

for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => {
    for (const child of running) endGroup(child);
    process.exit(1);
  });
process.exitCode = await main();
