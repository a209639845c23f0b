import { writeSync } from "node:fs";

/** The maximum number of bytes that wait for a slow reader; further lines are dropped and counted. */
const MOST_WAITING_BYTES = 8 * 1024 ** 2;
const RETRY_MS = 50;
/** The longest time that a line waits for others to be written with it. */
const GATHER_MS = 10;
/** The maximum number of bytes of lines that are gathered; a longer line is written by itself. */
const MOST_GATHERED = 64 * 1024;
/** The maximum number of bytes of UTF-8 for one UTF-16 unit. */
const MOST_BYTES_OF_UNIT = 3;
/** The longest time that an exiting process waits for the reader of its last lines. */
const LAST_MS = 1_000;
const LAST_STEP_MS = 20;
const LINE_FEED = 0x0a;

/** The outputs with lines that are not written yet; an exiting process writes them. */
const unfinished = new Set<LogOutput>();
let endIsWatched = false;

function watchEnd(): void {
  if (endIsWatched) return;
  endIsWatched = true;
  process.on("exit", () => {
    for (const output of unfinished) output.finish();
  });
}

/**
 * Writes the lines of about 10 ms in one system call, and never waits for their reader: pino's own output sleeps while
 * a pipe is full, and every stream of the process with it. Lines without room are kept, within a bound, and written as
 * soon as there is room.
 */
export class LogOutput {
  readonly #fd: number;
  readonly #onDropped: (lines: number) => void;
  readonly #mostBytes: number;
  /**
   * The gathered lines, up to `#length`. As bytes: a line of text consists of some sixty string pieces, and each
   * collection of young objects would copy them while they wait.
   */
  readonly #gathered = Buffer.allocUnsafeSlow(MOST_GATHERED);
  #length = 0;
  #timer: NodeJS.Timeout | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #dropped = 0;

  /** `onDropped` gets the number of dropped lines once there is room again. */
  constructor(fd: number, onDropped: (lines: number) => void, mostBytes = MOST_WAITING_BYTES) {
    this.#fd = fd;
    this.#onDropped = onDropped;
    this.#mostBytes = mostBytes;
    watchEnd();
  }

  write(line: string): void {
    const mostBytes = line.length * MOST_BYTES_OF_UNIT;
    if (this.#length + mostBytes > MOST_GATHERED) this.#writeGathered();
    if (mostBytes > MOST_GATHERED) this.#writeOrKeep(Buffer.from(line));
    else this.#gather(line);
  }

  /** Writes the remaining lines of an exiting process, as far as they are read within a second. Blocks meanwhile. */
  finish(): void {
    this.#writeGathered();
    const until = performance.now() + LAST_MS;
    const pause = new Int32Array(new SharedArrayBuffer(4));
    while (!this.#hasWritten() && performance.now() < until) Atomics.wait(pause, 0, 0, LAST_STEP_MS);
  }

  #gather(line: string): void {
    if (this.#length === 0) {
      unfinished.add(this);
      this.#timer = setTimeout(() => this.#writeGathered(), GATHER_MS);
    }
    this.#length += this.#gathered.write(line, this.#length);
  }

  #writeGathered(): void {
    if (this.#length === 0) return;
    clearTimeout(this.#timer);
    const bytes = this.#gathered.subarray(0, this.#length);
    this.#length = 0;
    this.#writeOrKeep(bytes);
  }

  #writeOrKeep(bytes: Buffer): void {
    const written = this.#waitingBytes > 0 ? 0 : this.#tryToWrite(bytes);
    if (written < bytes.length) this.#keep(bytes.subarray(written));
    this.#noteWhetherFinished();
  }

  #noteWhetherFinished(): void {
    if (this.#length > 0 || this.#waitingBytes > 0) unfinished.add(this);
    else unfinished.delete(this);
  }

  /** Returns the number of bytes that need no further write. */
  #tryToWrite(bytes: Uint8Array): number {
    try {
      return writeSync(this.#fd, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      // The reader is gone, or the disk is full. There is no other place to report it.
      return Number.POSITIVE_INFINITY;
    }
  }

  /** Keeps whole lines as far as there is room, and counts the others. */
  #keep(bytes: Buffer): void {
    const room = this.#mostBytes - this.#waitingBytes;
    const end = bytes.length <= room ? bytes.length : bytes.lastIndexOf(LINE_FEED, room - 1) + 1;
    for (const byte of bytes.subarray(end)) if (byte === LINE_FEED) this.#dropped += 1;
    if (end === 0) return;
    if (this.#waitingBytes === 0) this.#retryLater();
    // A copy: the next lines are gathered in the same memory.
    this.#waiting.push(Buffer.from(bytes.subarray(0, end)));
    this.#waitingBytes += end;
  }

  #retryLater(): void {
    setTimeout(() => this.#writeWaiting(), RETRY_MS).unref();
  }

  #writeWaiting(): void {
    if (!this.#hasWritten()) return void this.#retryLater();
    this.#noteWhetherFinished();
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0) this.#onDropped(dropped);
  }

  /** Writes the waiting lines as far as there is room; returns whether all are written. */
  #hasWritten(): boolean {
    let count = 0;
    for (const bytes of this.#waiting) {
      const written = Math.min(bytes.length, this.#tryToWrite(bytes));
      this.#waitingBytes -= written;
      if (written < bytes.length) {
        this.#waiting = [bytes.subarray(written), ...this.#waiting.slice(count + 1)];
        return false;
      }
      count += 1;
    }
    this.#waiting = [];
    return true;
  }
}
