import { type FSWatcher, lstatSync, statSync, watch } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** The files are read after this much quiet, in ms: editors and `kubectl` change several names in a row. */
const SETTLE_MS = 100;

/** The files are read after this time at the latest, even if changes go on. */
const SETTLE_AT_MOST_MS = 1_000;

/** The time between attempts to watch a directory that does not exist. */
const RETRY_MS = 1_000;

/** The maximum number of watched directories; each takes an inotify watch of the kernel. */
const MAX_DIRECTORIES = 64;

/** Names in the configuration's directories whose change counts; `..data` is the link that Kubernetes swaps. */
const RELEVANT = /\.ya?ml$|^routes$|^\.\./i;

interface Watched {
  readonly watcher: FSWatcher;
  /** Tells this directory from a later one with the same name. */
  readonly identity: string;
  names: ReadonlySet<string>;
}

/**
 * Calls back when the files of a configuration may have changed: those of its directory, and the others that were read
 * for it, such as secrets and certificates.
 *
 * It watches directories, not files, because most editors replace the file. A directory that was removed is watched again
 * once it exists.
 */
export class ConfigWatch {
  readonly #directory: string;
  readonly #onChange: () => void;
  readonly #watched = new Map<string, Watched>();
  /** The paths of the other files that were read. */
  #others: readonly string[] = [];
  #settling: NodeJS.Timeout | undefined;
  #settleBy = 0;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(directory: string, onChange: () => void) {
    this.#directory = resolve(directory);
    this.#onChange = onChange;
  }

  /**
   * Watches the directory and the given files. A directory that was not watched before may have changed since it was
   * read, so it counts as changed.
   */
  arm(readPaths: readonly string[]): void {
    if (this.#isClosed) return;
    clearTimeout(this.#retry);
    this.#others = readPaths.map((path) => resolve(path));
    const places = this.#places();
    for (const directory of this.#watched.keys()) if (!places.has(directory)) this.#forget(directory);
    const states = [...places].map(([directory, names]) => this.#watch(directory, names));
    if (states.includes("new")) this.touch();
    if (states.includes("missing")) {
      this.#retry = setTimeout(() => this.arm(this.#others), RETRY_MS).unref();
    }
  }

  /** Something may have changed; several calls in a short time result in one callback. */
  touch(): void {
    if (this.#isClosed) return;
    const now = performance.now();
    if (this.#settling === undefined) this.#settleBy = now + SETTLE_AT_MOST_MS;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(
      () => {
        this.#settling = undefined;
        this.#onChange();
      },
      Math.max(0, Math.min(SETTLE_MS, this.#settleBy - now)),
    );
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#settling);
    clearTimeout(this.#retry);
    for (const directory of [...this.#watched.keys()]) this.#forget(directory);
  }

  /** Returns the directories to watch, each with the names that count beside those of `RELEVANT`. */
  #places(): Map<string, Set<string>> {
    const places = new Map<string, Set<string>>();
    const add = (directory: string, ...names: string[]) => {
      if (!places.has(directory) && places.size >= MAX_DIRECTORIES) return;
      places.set(directory, new Set([...(places.get(directory) ?? []), ...names]));
    };
    add(this.#directory);
    add(join(this.#directory, "routes"));
    // For a link such as `current -> releases/42`, a swap is an event of the directory that contains the link.
    if (isLink(this.#directory)) add(dirname(this.#directory), basename(this.#directory));
    for (const path of this.#others) add(dirname(path), basename(path));
    return places;
  }

  #watch(directory: string, names: ReadonlySet<string>): "kept" | "new" | "missing" {
    const identity = identityOf(directory);
    const before = this.#watched.get(directory);
    if (before !== undefined && before.identity === identity) {
      before.names = names;
      return "kept";
    }
    this.#forget(directory);
    if (identity === undefined) return "missing";
    try {
      const watcher = watch(directory, { persistent: false }, (_, name) => this.#onEvent(directory, name));
      watcher.on("error", () => this.touch());
      this.#watched.set(directory, { watcher, identity, names });
      return "new";
    } catch {
      // No inotify watch is left: SIGHUP still works, and a later attempt may succeed.
      return "missing";
    }
  }

  #onEvent(directory: string, name: string | null): void {
    const isMeant =
      name === null ||
      RELEVANT.test(name) ||
      // The directory itself was moved or removed.
      name === basename(directory) ||
      this.#watched.get(directory)?.names.has(name) === true;
    if (isMeant) this.touch();
  }

  #forget(directory: string): void {
    this.#watched.get(directory)?.watcher.close();
    this.#watched.delete(directory);
  }
}

/** Returns a directory's identity, with its birth time, as inode numbers are reused; undefined if it cannot be read. */
function identityOf(directory: string): string | undefined {
  try {
    const { dev, ino, birthtimeMs } = statSync(directory);
    return `${dev} ${ino} ${birthtimeMs}`;
  } catch {
    return undefined;
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}
