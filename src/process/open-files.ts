import { readFileSync } from "node:fs";

/**
 * Returns the maximum number of files, sockets included, that this process may have open; Infinity if the system does
 * not tell.
 */
export function openFileLimit(): number {
  let limits: string;
  try {
    limits = readFileSync("/proc/self/limits", "latin1");
  } catch {
    // Not Linux: without the limit there is no reserve, and a shortage shows when a file cannot be opened.
    return Number.POSITIVE_INFINITY;
  }
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined || soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
}
