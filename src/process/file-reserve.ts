import { closeSync, openSync } from "node:fs";
import { openFileLimit } from "./open-files.ts";

/** What is kept back at most: enough for probes, a scrape, a reload and some who are refused, all at the same time. */
const MAX_RESERVE = 64;
/** What is kept back where there are few files: one of eight. */
const RESERVE_PART = 8;

const CHECK_MS = 250;

/**
 * Files held open only to be given up when the process has no others left.
 *
 * Without any, libuv accepts and closes each connection without a word to us: a probe of the admin listener gets
 * no more answer than the crowd that took the files. While files are short those kept back are free for those who
 * come, who can be refused in words or closed at once, until there are twice as many free.
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

  /** Whether the process ran out of files, and has not enough of them again. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** How many files are kept back. */
  get size(): number {
    return this.#size;
  }

  /** Takes the reserve, and looks after it four times a second until `stop`. */
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

  /** Looks now, as whoever was refused a file asks. */
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

  /** Twice the reserve, or the next who come would be refused again. */
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

/** As many as asked for, or none. */
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
