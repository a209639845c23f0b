import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Configuration } from "../configuration.ts";
import type { Directive } from "../directive.ts";
import type { SourceFile } from "../source-file.ts";
import { type NginxVersion, parseVersion } from "../version.ts";

const TIMEOUT_MS = 10_000;

/** Returns the version of the nginx on the PATH; undefined without nginx. */
export function installedVersion(): NginxVersion | undefined {
  const { stderr } = spawnSync("nginx", ["-v"], { encoding: "utf8", timeout: TIMEOUT_MS });
  const found = /nginx\/(\d+\.\d+\.\d+)/.exec(stderr ?? "")?.[1];
  return found === undefined ? undefined : parseVersion(found);
}

/**
 * Whether the nginx on the PATH accepts a configuration. Writes it as one temporary file beside the main file.
 * Undefined without nginx, or if the file cannot be written.
 */
export function isTakenByNginx(configuration: Configuration): boolean | undefined {
  const [main] = configuration.files;
  if (main === undefined || !configuration.isWhole) return undefined;
  const path = join(dirname(main.path), `.sluice-lint-${process.pid}.conf`);
  try {
    writeFileSync(path, main.encode(flatten(configuration, main)), { flag: "wx", mode: 0o600 });
  } catch {
    return undefined;
  }
  try {
    const { status, error } = spawnSync("nginx", ["-t", "-q", "-c", absolute(path)], { timeout: TIMEOUT_MS });
    return error === undefined ? status === 0 : undefined;
  } finally {
    rmSync(path, { force: true });
  }
}

/** Returns a file's text in which the included text replaces each include directive. */
function flatten({ inclusions }: Configuration, main: SourceFile): string {
  const byFile = new Map<SourceFile, Directive[]>();
  for (const directive of inclusions.keys()) {
    byFile.set(directive.file, [...(byFile.get(directive.file) ?? []), directive]);
  }
  const textOf = (file: SourceFile): string => {
    let at = 0;
    let text = "";
    for (const directive of (byFile.get(file) ?? []).toSorted((a, b) => a.start - b.start)) {
      const included = (inclusions.get(directive) ?? []).map((each) => `${textOf(each)}\n`);
      text += file.slice(at, directive.start) + included.join("");
      at = directive.end;
    }
    return text + file.slice(at, file.text.length);
  };
  return textOf(main);
}

const absolute = (path: string): string => (path.startsWith("/") ? path : join(process.cwd(), path));
