import { trendOf } from "../parts/memory.mjs";

/** The fewest rounds for a meaningful trend of the sizes. */
const TREND_ROUNDS = 12;
const MIB = 1024 ** 2;
/** The allowed growth over a short run, in which caches and code still grow. */
const SHORT_GROWTH = 16 * MIB;
/** The allowed growth of resident memory beyond the heap: V8 and malloc keep freed memory. */
const RESIDENT_GROWTH = 1.4;

/** Whether the memory of each process, after garbage collections, is flat over the rounds. */
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
