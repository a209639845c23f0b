import { parseArgs } from "node:util";

/** `--scale 0.1` means a tenth of a soak's size. */
export function readScale() {
  const { values } = parseArgs({ options: { scale: { type: "string", default: "1" } } });
  const scale = Number(values.scale);
  if (!(scale > 0)) throw new Error("--scale: expected a number above 0");
  return scale;
}

/** Prints a verdict and ends the process with its exit code. */
export function conclude(verdict) {
  console.log(JSON.stringify(verdict));
  process.exit(verdict.isGood ? 0 : 1);
}
