import { readFileSync } from "node:fs";

/** Returns the version of this package, such as `1.2.3`; read at the first call. */
export function version(): string {
  known ??= (JSON.parse(readFileSync(PACKAGE, "utf8")) as { version: string }).version;
  return known;
}

const PACKAGE = new URL("../../package.json", import.meta.url);
let known: string | undefined;
