import { type FSWatcher, lstatSync, statSync, watch } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** Quiet for so long, what somebody writes is whole: editors and `kubectl` change several names in a row. */
const SETTLE_MS = 100;

/** With something new all the time it is looked at all the same. */
const SETTLE_AT_MOST_MS = 1_000;

/** How often it is tried to watch what was not there. */
const RETRY_MS = 1_000;

/** Directories that are watched; each costs the kernel an inotify watch. */
const MAX_DIRECTORIES = 64;

/** What counts beside the files themselves: `..data` is the link that Kubernetes swaps. */
const RELEVANT = /\.ya?ml$|^routes$|^\.\./i;

interface Watched {
  readonly watcher: FSWatcher;
  /** Which directory had the name: another one may have it now. */
  readonly identity: string;
  names: ReadonlySet<string>;
}

/**
 * Calls back when the files of a configuration may have changed: its directory's, and whatever else was read
 * for it, such as secrets and certificates.
 *
 * Directories are watched, not files, because most editors put a new file in the old one's place. A directory
 * that vanishes is watched again once it is back.
 */
export class ConfigWatch {
  readonly #directory: string;
  readonly #onChange: () => void;
  readonly #watched = new Map<string, Watched>();
  /** What was read, beyond the directory. */
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
   * Watches, or goes on to, what has those names now. A directory that was not watched before may have changed
   * since it was read, which counts as a change.
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

  /** Something may have changed; many of these in a short time are one. */
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

  /** Directories, each with the names in it that count beside those that always do. */
  #places(): Map<string, Set<string>> {
    const places = new Map<string, Set<string>>();
    const add = (directory: string, ...names: string[]) => {
      if (!places.has(directory) && places.size >= MAX_DIRECTORIES) return;
      places.set(directory, new Set([...(places.get(directory) ?? []), ...names]));
    };
    add(this.#directory);
    add(join(this.#directory, "routes"));
    // `current -> releases/42`: the swap of the link is an event of the directory that holds it.
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
      // No inotify watch left: SIGHUP still works, and the next try may too.
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

/** Numbers are given anew, hence the time. Undefined for what is not there or not to be seen. */
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
