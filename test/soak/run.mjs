import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";

/**
 * The long runs: `npm run soak` for all of them, `npm run soak -- reload drain` for some.
 *
 *   --scale N   a part of the size: 0.1 for a tenth of the streams, reloads and rounds (default 1)
 *
 * A soak is a file of this directory that exports `soak({ scale, say })`, which resolves with its verdict: an
 * object with `isOk`. The last line of the output is all verdicts as JSON.
 */
const OURS = new Set(["run.mjs"]);

async function main() {
  const { values, positionals } = parseArgs({
    options: { scale: { type: "string", default: "1" } },
    allowPositionals: true,
  });
  const all = readdirSync(new URL(".", import.meta.url))
    .filter((file) => file.endsWith(".mjs") && !OURS.has(file))
    .map((file) => file.replace(/\.mjs$/, ""));
  const names = positionals.length === 0 ? all : positionals;
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`no soak ${unknown.join(", ")}; there are ${all.join(", ")}`);
  const verdicts = {};
  for (const name of names) {
    const { soak } = await import(`./${name}.mjs`);
    const say = (text) => console.log(`${name}: ${text}`);
    verdicts[name] = await soak({ scale: Number(values.scale), say });
    say(verdicts[name].isOk ? "ok" : "FAILED");
  }
  console.log(JSON.stringify(verdicts));
  return Object.values(verdicts).every(({ isOk }) => isOk) ? 0 : 1;
}

process.exitCode = await main();
