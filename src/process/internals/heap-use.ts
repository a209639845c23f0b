import { getHeapSpaceStatistics, getHeapStatistics } from "node:v8";

/** The part of V8's reported heap limit that long-lived objects may take, where no flag has set it. */
const OLD_PART = 0.97;

const OLD_LIMIT = oldLimitBytes();

/**
 * Returns how much of the room for long-lived objects is used, from 0 to 1. Dead objects that are not collected yet
 * count as used. At 1 V8 ends the process.
 *
 * - Assumed of the V8 of Node 20, 22 and 24: the names of the spaces for young objects begin with `new`; the reported
 *   limit is that of the old spaces, which `--max-old-space-size` sets in MiB, plus 2 to 5 % for the young ones.
 * - Without it: the only limit would be `heap_size_limit` of all spaces. Depending on the size of the young space, a
 *   heap with room would then look full, or a full heap would look as if it had room.
 * - Can go when V8 reports the limit of the old spaces.
 */
export function heapUse(): number {
  let used = 0;
  for (const { space_name: name, space_used_size: size } of getHeapSpaceStatistics()) {
    if (!name.startsWith("new")) used += size;
  }
  return used / OLD_LIMIT;
}

/** Returns the maximum number of bytes that long-lived objects may take. */
export function oldLimitBytes(): number {
  return flaggedLimit() ?? getHeapStatistics().heap_size_limit * OLD_PART;
}

function flaggedLimit(): number | undefined {
  const flags = [process.env["NODE_OPTIONS"], ...process.execArgv].join(" ");
  const megabytes = [...flags.matchAll(/--max[-_]old[-_]space[-_]size[= ](\d+)/g)].at(-1)?.[1];
  return megabytes === undefined || Number(megabytes) === 0 ? undefined : Number(megabytes) * 2 ** 20;
}
