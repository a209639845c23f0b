import { readSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import type { Configuration } from "../configuration.ts";
import { DumpFiles, splitDump } from "../dump.ts";
import { type ConfigurationFiles, DiskFiles, FileFault, namesIn, type PathMapping } from "../files.ts";
import { READ_LIMITS, readConfigurations } from "../reader.ts";

/** The inputs named on the command line. */
export interface Inputs {
  /** Files, directories, or `-` for standard input. */
  readonly paths: readonly string[];
  readonly root: string | undefined;
  readonly mappings: readonly PathMapping[];
}

/** A file or directory that cannot be linted; the message names the path and the remedy. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** The files of one configuration and their source. */
export interface Source {
  readonly paths: readonly string[];
  readonly files: ConfigurationFiles;
  readonly root: string | undefined;
}

/** The configuration files in a directory without nginx.conf; others are certificates and pages. */
const CONFIGURATION = /\.(?:conf|nginx|vhost|template|tmpl)$/;
const SITES = /(?:^|\/)(?:sites|streams)-(?:enabled|available)$/;
/** The deepest directory searched: deeper ones belong to another tree. */
const MAX_DEPTH = 5;

/** Finds the configurations that the paths name. Throws InputError. */
export function findSources({ paths, root, mappings }: Inputs): Source[] {
  const disk = new DiskFiles(mappings);
  const sources: Source[] = [];
  const fragments: string[] = [];
  for (const path of paths) {
    const dump = readDump(path, disk);
    if (dump !== undefined) sources.push(dump);
    else if (isDirectory(disk.shownPath(path))) takeDirectory(path, disk, root, sources, fragments);
    else fragments.push(path);
  }
  return [...sources, ...groupFragments(fragments, disk, root)];
}

/** Reads a source, from `patched` to try fixes. Throws InputError. */
export function readSource(
  { paths, files, root }: Source,
  patched: ConfigurationFiles = files,
): Configuration {
  try {
    return readConfigurations(paths, patched, { root });
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    throw new InputError(`${paths[0]} ${error.message}; ${REMEDY}`);
  }
}

const REMEDY = "name an nginx configuration, a directory of them, or - for the output of nginx -T";

function readDump(path: string, disk: DiskFiles): Source | undefined {
  if (path !== "-" && isDirectory(disk.shownPath(path))) return undefined;
  let content: string | Buffer;
  try {
    content = path === "-" ? readInput() : disk.read(path, READ_LIMITS.bytes);
  } catch (error) {
    const message = error instanceof FileFault ? error.message : String(error);
    throw new InputError(`${path} ${message}; ${REMEDY}`);
  }
  const text = content.toString("utf8");
  const files = splitDump(text);
  const [main] = files?.keys() ?? [];
  if (files !== undefined && main !== undefined) {
    return { paths: [main], files: new DumpFiles(files), root: undefined };
  }
  if (path !== "-") return undefined;
  return { paths: ["stdin"], files: new DumpFiles(new Map([["stdin", text]])), root: undefined };
}

/** Reads standard input, up to one byte more than the limit, so that the excess is seen. */
function readInput(): Buffer {
  const chunks: Buffer[] = [];
  for (let left = READ_LIMITS.bytes + 1; left > 0; ) {
    const chunk = Buffer.alloc(Math.min(left, 65_536));
    const length = readSome(chunk);
    if (length === 0) break;
    chunks.push(chunk.subarray(0, length));
    left -= length;
  }
  return Buffer.concat(chunks);
}

function readSome(chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(0, chunk);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EOF") return 0;
      // A non-blocking terminal has no input yet.
      if (code !== "EAGAIN") throw new InputError(`standard input cannot be read (${code})`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function takeDirectory(
  path: string,
  disk: DiskFiles,
  root: string | undefined,
  sources: Source[],
  fragments: string[],
): void {
  const main = join(path, "nginx.conf");
  if (namesIn(disk.shownPath(path)).includes("nginx.conf")) {
    sources.push({ paths: [main], files: disk, root });
    return;
  }
  const found = filesBelow(path, disk, 0);
  if (found.length === 0) {
    throw new InputError(`${path} contains no nginx configuration; ${REMEDY}`);
  }
  fragments.push(...found);
}

function filesBelow(directory: string, disk: DiskFiles, depth: number): string[] {
  const names = namesIn(disk.shownPath(directory))
    .filter((name) => !name.startsWith("."))
    .toSorted();
  return names.flatMap((name) => {
    const path = join(directory, name);
    if (isDirectory(disk.shownPath(path))) return depth < MAX_DEPTH ? filesBelow(path, disk, depth + 1) : [];
    return CONFIGURATION.test(name) || SITES.test(directory) ? [path] : [];
  });
}

/** Groups the files: a whole configuration by itself, all fragments together, as a main file would include them. */
function groupFragments(paths: readonly string[], files: DiskFiles, root: string | undefined): Source[] {
  const alone = paths.map((path) => {
    const source: Source = { paths: [path], files, root: root ?? rootOf(path, files) };
    return { source, configuration: readSource(source) };
  });
  const included = new Set(
    alone.flatMap(({ source, configuration }) =>
      configuration.files
        .map(({ path }) => normalize(path))
        .filter((path) => path !== normalize(source.paths[0] ?? "")),
    ),
  );
  const kept = alone.filter(({ source }) => !included.has(normalize(files.shownPath(source.paths[0] ?? ""))));
  // Files that include one another in a circle have no first file.
  const roots = kept.length === 0 ? alone : kept;
  const whole = roots.filter(({ configuration }) => configuration.isWhole).map(({ source }) => source);
  const byRoot = new Map<string | undefined, string[]>();
  for (const { source, configuration } of roots) {
    if (configuration.isWhole) continue;
    const [path = ""] = source.paths;
    byRoot.set(source.root, [...(byRoot.get(source.root) ?? []), path]);
  }
  return [...whole, ...[...byRoot].map(([each, list]) => ({ paths: list, files, root: each }))];
}

/** Returns the directory of nginx.conf, for a fragment's relative includes: its own directory or one above. */
function rootOf(path: string, files: DiskFiles): string {
  let directory = dirname(path);
  for (let step = 0; step < MAX_DEPTH; step += 1) {
    if (namesIn(files.shownPath(directory)).includes("nginx.conf")) return directory;
    const above = dirname(directory);
    if (above === directory) break;
    directory = above;
  }
  return dirname(path);
}
