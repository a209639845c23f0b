import { spawn } from "node:child_process";
import { parseArgs } from "node:util";

/**
 * Runs the soaks, which are separate programs: `npm run soak` runs all of them one after another, `npm run soak --
 * reload drain` some of them. Arguments after another `--` go to each: `npm run soak -- reload -- --scale 0.1`.
 *
 * A soak's last line is its verdict as JSON, and its exit code is 0 if it is good; the same applies to this program.
 */
const SOAKS = [
  "reload",
  "drain",
  "many-streams",
  "aborts",
  "slow-clients",
  "hand-over",
  "shared",
  "reconnect-storm",
  "leader-kill",
  "redis-chaos",
  "answer-chaos",
  "many-answers",
  "worker-kill",
  "h2-resets",
  "relay-fuzz",
  "head-fuzz",
  "matrix",
];

/** Runs a soak to its end; resolves with its verdict. */
async function run(name, args) {
  const program = new URL(`./${name}.mjs`, import.meta.url).pathname;
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more) => {
    text += more;
    process.stdout.write(more);
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  const last = text.trimEnd().split("\n").at(-1) ?? "";
  return { name, isGood: code === 0, verdict: last.startsWith("{") ? JSON.parse(last) : undefined };
}

const at = process.argv.indexOf("--");
const own = process.argv.slice(2, at < 0 ? undefined : at);
const { positionals } = parseArgs({ args: own, allowPositionals: true });
const unknown = positionals.filter((name) => !SOAKS.includes(name));
if (unknown.length > 0) throw new Error(`no soak ${unknown.join(", ")}; there are ${SOAKS.join(", ")}`);
const results = [];
for (const name of positionals.length === 0 ? SOAKS : positionals) {
  results.push(await run(name, at < 0 ? [] : process.argv.slice(at + 1)));
}
console.log(JSON.stringify(results));
process.exitCode = results.every(({ isGood }) => isGood) ? 0 : 1;
