import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";

/**
 * The size to which V8's space for new objects is brought, in bytes. By itself it grows to 32 MiB as streams open, and
 * stays so. With 8 MiB, 5,000 idle streams took 7 KiB each instead of 13, and requests were as fast as before; with
 * less than 8 MiB they were slower.
 */
const YOUNG_BYTES = 8 * 1024 * 1024;

/** The maximum number of arrays that are made to fill the space; 200 arrays of 16 KiB let it grow to that size. */
const MAX_ARRAYS = 1_000;
const ARRAY_LENGTH = 2_048;

/**
 * For so small a space, waking other threads costs more than their help: a twentieth of the CPU of ordinary requests.
 * Where all threads share one core, the process also waited up to 100 ms for them.
 */
const ON_ONE_THREAD = ["--no-parallel-scavenge", "--no-concurrent-array-buffer-sweeping"];

const NODE_MAJOR = Number.parseInt(process.versions.node, 10);

/**
 * The V8 of Node 24 marks the whole heap for each 64 MiB that are read into buffers. Uploads took a third more CPU and
 * their slowest responses three times as long as with this flag, which makes that bound grow with the heap's.
 */
const BUFFERS_IN_HEAP_LIMIT = NODE_MAJOR >= 24 ? ["--external-memory-accounted-in-global-limit"] : [];

const COLLECTION_FLAGS = [...ON_ONE_THREAD, ...BUFFERS_IN_HEAP_LIMIT];

/** The options of Node with the same effect, the size as half in MiB; they count only at the start of a process. */
const OPTIONS = ["--max-semi-space-size=4", ...COLLECTION_FLAGS];

/** After so many requests, it is looked at whether the space has shrunk; a look takes about 15 µs. */
const REQUESTS_BETWEEN_LOOKS = 128;

/** Whether this process keeps the size itself. */
let isKept = false;
let requests = 0;

/**
 * Makes the space for new objects grow to 8 MiB at once, and no further. Does nothing if the user has chosen a size.
 *
 * - Assumed of the V8 of Node 20, 22 and 24: the space is called `new_space`, it grows while it holds live objects, and
 *   the flag `--semi-space-growth-factor=1`, set while the process runs, stops its growth. Those of
 *   `COLLECTION_FLAGS`, set then too, say how garbage is collected.
 * - Without it: an idle stream costs nearly twice the memory. A V8 without the flag prints an error and goes on.
 *   Without `regrowYoungGeneration`, every stream behind an idle time costs nearly twice the CPU.
 * - Can go when Node has a way to set the size from within a running process.
 */
export function keepYoungGenerationSmall(): void {
  if (isChosen()) return;
  isKept = true;
  for (const flag of COLLECTION_FLAGS) setFlagsFromString(flag);
  grow();
}

/**
 * Called for each request: brings the space back to its size. V8 shrinks it when a process has been idle for some ten
 * seconds, and without growth it would stay small for good.
 */
export function regrowYoungGeneration(): void {
  if (!isKept || ++requests % REQUESTS_BETWEEN_LOOKS !== 0 || youngBytes() >= YOUNG_BYTES) return;
  grow();
}

function grow(): void {
  // V8's default.
  setFlagsFromString("--semi-space-growth-factor=2");
  const arrays: number[][] = [];
  while (youngBytes() < YOUNG_BYTES && arrays.length < MAX_ARRAYS) {
    arrays.push(new Array<number>(ARRAY_LENGTH).fill(0));
  }
  setFlagsFromString("--semi-space-growth-factor=1");
}

/** Returns the command-line options for a new process of Node with the same effect. */
export function youngGenerationOptions(): readonly string[] {
  return isChosen() ? [] : OPTIONS;
}

/** Whether the user has given this process a size. */
function isChosen(): boolean {
  return [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].join(" ").includes("semi-space");
}

function youngBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  return space?.space_size ?? YOUNG_BYTES;
}
