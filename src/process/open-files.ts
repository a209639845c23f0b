import { readFileSync } from "node:fs";

/**
 * How many files, sockets among them, this process may have open at a time; Infinity where the system does not tell.
 */
export function openFileLimit(): number {
  let limits: string;
  try {
    limits = readFileSync("/proc/self/limits", "latin1");
  } catch {
    // Not Linux, where a shortage then shows only when it is there.
    return Number.POSITIVE_INFINITY;
  }
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined || soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
}
