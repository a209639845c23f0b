import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { isGlob, matchesGlob } from "./glob.ts";

/** A source of configuration files: the disk or a dump. Paths are those of the `include` directives. */
export interface ConfigurationFiles {
  /** Reads a regular file of at most `maxBytes`. Throws FileFault. */
  read(path: string, maxBytes: number): Buffer | string;
  /** Returns the paths that a pattern matches, sorted as glob(3) sorts them in the C locale. */
  glob(pattern: string): readonly string[];
  /** Returns the path that messages show for a file. */
  shownPath(path: string): string;
  /** Whether `--fix` may write the files. */
  readonly isWritable: boolean;
}

/** The reason why a file cannot be read; the message does not name the path. */
export class FileFault extends Error {
  override readonly name = "FileFault";
  /** Whether the file does not exist. */
  readonly isMissing: boolean;

  constructor(message: string, isMissing = false) {
    super(message);
    this.isMissing = isMissing;
  }
}

/** The maximum number of names read from one directory: a directory with more is not a configuration. */
const MAX_NAMES = 10_000;

/** A directory of another machine and its local copy: `--map /etc/nginx=./etc`. */
export interface PathMapping {
  readonly from: string;
  readonly to: string;
}

/** The files of this machine. */
export class DiskFiles implements ConfigurationFiles {
  readonly isWritable = true;
  readonly #mappings: readonly PathMapping[];

  constructor(mappings: readonly PathMapping[] = []) {
    this.#mappings = mappings;
  }

  shownPath(path: string): string {
    for (const { from, to } of this.#mappings) {
      if (path === from || path.startsWith(`${from}/`)) return join(to, path.slice(from.length));
    }
    return path;
  }

  read(path: string, maxBytes: number): Buffer {
    try {
      return readRegularFile(this.shownPath(path), maxBytes);
    } catch (error) {
      if (error instanceof FileFault) throw error;
      const { code = "" } = error as NodeJS.ErrnoException;
      const isMissing = code === "ENOENT" || code === "ENOTDIR";
      throw new FileFault(EXPLAINED[code] ?? `cannot be read (${code})`, isMissing);
    }
  }

  glob(pattern: string): readonly string[] {
    let found = [pattern.startsWith("/") ? "/" : ""];
    for (const part of pattern.split("/").filter((each) => each !== "")) {
      const next: string[] = [];
      for (const path of found) {
        if (next.length < MAX_NAMES) next.push(...this.#step(path, part));
      }
      found = next.slice(0, MAX_NAMES);
    }
    return found.toSorted();
  }

  #step(directory: string, part: string): string[] {
    const path = (name: string) => (directory === "" ? name : join(directory, name));
    if (!isGlob(part)) return exists(this.shownPath(path(part))) ? [path(part)] : [];
    return namesIn(this.shownPath(directory === "" ? "." : directory))
      .filter((name) => matchesGlob(name, part))
      .map(path);
  }
}

const EXPLAINED: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist",
  EACCES: "cannot be read: permission denied",
  EPERM: "cannot be read: permission denied",
  ELOOP: "has too many levels of symbolic links",
  ENAMETOOLONG: "has a name that is too long",
};

/** Returns the names in a directory; like glob(3), an empty list if it cannot be read. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).slice(0, MAX_NAMES);
  } catch {
    return [];
  }
}

function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

function readRegularFile(path: string, maxBytes: number): Buffer {
  if (path.includes("\0")) throw new FileFault("has a NUL character in its name");
  // Without O_NONBLOCK, opening a FIFO waits for a writer.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw new FileFault("is a directory");
    if (!stat.isFile()) throw new FileFault("is not a regular file");
    if (stat.size > maxBytes) throw new FileFault(`has ${stat.size} bytes; the limit leaves ${maxBytes}`);
    const buffer = Buffer.alloc(stat.size);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(fd, buffer, length, buffer.length - length, null);
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}
