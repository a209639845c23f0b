import { readFileSync } from "node:fs";
import { join } from "node:path";

/** In this first share of a run, histories fill and V8 adapts its sizes. */
const WARM = 0.2;
/** Memory is flat if the best-fitting line rises less than this from there to the end. */
const MOST_RISE = 0.05;

/** The environment in which sluice writes down its heap size at intervals. */
export const memoryLogOf = (everyMs) => ({
  NODE_OPTIONS: `--import=${new URL("memory-log.mjs", import.meta.url).href}`,
  MEMORY_LOG_MS: String(everyMs),
});

/** Returns the records of a sluice that ran in a directory. */
export const readMemoryLog = (cwd) =>
  readFileSync(join(cwd, "memory.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

/** Returns the trend of the sizes `{ at, bytes }` over a run, and whether it is flat. */
export function trendOf(samples) {
  const [first, last] = [samples.at(0)?.at ?? 0, samples.at(-1)?.at ?? 0];
  const steady = samples.filter(({ at }) => at >= first + (last - first) * WARM);
  const mean = (pick) => steady.reduce((sum, sample) => sum + pick(sample), 0) / steady.length;
  const middle = mean(({ at }) => at);
  const average = mean(({ bytes }) => bytes);
  const spread = mean(({ at }) => (at - middle) ** 2);
  const bytesPerMs = mean(({ at, bytes }) => (at - middle) * (bytes - average)) / spread;
  const riseBytes = bytesPerMs * (last - (steady.at(0)?.at ?? last));
  return {
    meanMiB: Number((average / 1024 ** 2).toFixed(1)),
    mostMiB: Number((Math.max(...steady.map(({ bytes }) => bytes)) / 1024 ** 2).toFixed(1)),
    kibPerMinute: Math.round((bytesPerMs * 60_000) / 1024),
    rise: Number((riseBytes / average).toFixed(4)),
    isFlat: riseBytes < average * MOST_RISE,
  };
}
