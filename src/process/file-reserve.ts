import { closeSync, openSync } from "node:fs";
import { openFileLimit } from "./open-files.ts";

/**
 * The maximum number of files in reserve: enough for probes, a scrape, a reload and some refused clients, all at the
 * same time.
 */
const MAX_RESERVE = 64;
/** The reserve of a process with few files is one eighth of its limit. */
const RESERVE_PART = 8;

const CHECK_MS = 250;

/**
 * File descriptors that are held open only to be closed when the process has no others left.
 *
 * Without a free descriptor libuv accepts and closes each connection, and the process does not learn of it: a probe of
 * the admin listener gets no response, just like the clients that took the descriptors. During a shortage the reserve
 * is free for new connections, which are refused with a response or closed at once, until twice the reserve is free.
 */
export class FileReserve {
  readonly #size: number;
  readonly #onChange: (isShort: boolean) => void;
  #held: number[] = [];
  #isShort = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(onChange: (isShort: boolean) => void, limit = openFileLimit()) {
    this.#size =
      limit === Number.POSITIVE_INFINITY ? 0 : Math.min(MAX_RESERVE, Math.ceil(limit / RESERVE_PART));
    this.#onChange = onChange;
  }

  /** Whether the process ran out of file descriptors and has not regained enough. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** The number of descriptors in reserve. */
  get size(): number {
    return this.#size;
  }

  /** Takes the reserve, and checks it four times a second until `stop`. */
  start(): void {
    if (this.#size === 0 || this.#timer !== undefined) return;
    this.#held = openFiles(this.#size) ?? [];
    this.#timer = setInterval(() => this.check(), CHECK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#giveUp();
  }

  /** Checks at once, for a caller that got no descriptor. */
  check(): void {
    if (this.#timer === undefined) return;
    if (this.#isShort) this.#regain();
    else this.#notice();
  }

  #notice(): void {
    const [file] = openFiles(1) ?? [];
    if (file !== undefined) {
      closeSync(file);
      return;
    }
    this.#giveUp();
    this.#isShort = true;
    this.#onChange(true);
  }

  /** Regains the reserve if twice as many are free: with less, the next clients would be refused again. */
  #regain(): void {
    const files = openFiles(2 * this.#size);
    if (files === undefined) return;
    this.#held = files.splice(this.#size);
    for (const file of files) closeSync(file);
    this.#isShort = false;
    this.#onChange(false);
  }

  #giveUp(): void {
    for (const file of this.#held) closeSync(file);
    this.#held = [];
  }
}

/** Opens that many files; undefined if there are not so many descriptors. */
function openFiles(count: number): number[] | undefined {
  const files: number[] = [];
  try {
    while (files.length < count) files.push(openSync("/dev/null", "r"));
    return files;
  } catch {
    for (const file of files) closeSync(file);
    return undefined;
  }
}
