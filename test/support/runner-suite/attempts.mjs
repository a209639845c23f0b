import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The how manyth run this is of what has that name, from 1; the runner starts a process for each. */
export function attempt(name) {
  const file = join(process.env.ATTEMPTS, name);
  const count = (existsSync(file) ? Number(readFileSync(file, "utf8")) : 0) + 1;
  writeFileSync(file, String(count));
  return count;
}
