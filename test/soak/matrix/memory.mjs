import { trendOf } from "../parts/memory.mjs";

/** Rounds from which on a line through the sizes tells more than chance. */
const TREND_ROUNDS = 12;
const MIB = 1024 ** 2;
/** What a process may grow by over a short run, in which caches and code are still being filled. */
const SHORT_GROWTH = 16 * MIB;
/** What the resident memory may grow by beyond the heap: V8 and malloc keep what they had. */
const RESIDENT_GROWTH = 1.4;

/** Whether the memory of each process, after its garbage was collected, is flat over the rounds. */
export function checkMemory(memory) {
  const broken = [];
  const sizes = {};
  for (const [name, samples] of memory) {
    const [first, last] = [samples[0], samples.at(-1)];
    const trend = samples.length < TREND_ROUNDS ? undefined : trendOf(samples);
    const isFlat = trend?.isFlat ?? last.bytes - first.bytes < SHORT_GROWTH;
    const middle = samples[samples.length >> 1];
    const isResidentFlat = last.rss < middle.rss * RESIDENT_GROWTH;
    sizes[name] = [first, middle, last].map(
      ({ bytes, rss }) => `${(bytes / MIB).toFixed(1)}/${Math.round(rss / MIB)} MiB`,
    );
    if (!isFlat)
      broken.push({
        gateway: name,
        what: `memory: ${sizes[name].join(", ")} ${JSON.stringify(trend ?? {})}`,
      });
    if (!isResidentFlat) broken.push({ gateway: name, what: `memory: resident ${sizes[name].join(", ")}` });
  }
  return { sizes, broken };
}
