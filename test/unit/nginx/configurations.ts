import type { Configuration } from "../../../src/nginx/configuration.ts";
import { DumpFiles } from "../../../src/nginx/dump.ts";
import type { Level } from "../../../src/nginx/level.ts";
import { readConfigurations } from "../../../src/nginx/reader.ts";

/** Reads files from memory as one configuration; the first file is the main file. */
export function configurationOf(files: Readonly<Record<string, string>>, root?: string): Configuration {
  const [main = ""] = Object.keys(files);
  return readConfigurations([main], new DumpFiles(new Map(Object.entries(files))), { root });
}

/** Returns the first location with a pattern. */
export function locationOf(configuration: Configuration, pattern: string): Level {
  for (const level of configuration.main.inward()) if (level.pattern === pattern) return level;
  throw new Error(`no location ${pattern}`);
}
