import type { WriteStream } from "node:tty";
import type { Watcher } from "./probe.ts";
import type { Reading } from "./reading.ts";
import { seconds } from "./seconds.ts";
import { LATE_MS } from "./symptom.ts";
import { lagsOf } from "./table.ts";

/** Redraw interval, in ms. */
const FRAME_MS = 100;
/** Time span of one character of the strip, in ms. */
const SLOT_MS = 250;
const SLOTS = 32;
/** Lag of one block of the bar, in ms, and the longest bar. */
const BLOCK_MS = 100;
const MAX_BLOCKS = 20;

const GREEN = "\u001b[32m";
const RED = "\u001b[31m";
const RESET = "\u001b[0m";

/**
 * Shows events on a terminal as they arrive: per hop a moving strip with a mark for each event, and the lag as a
 * bar. `close` erases the picture to make room for the report.
 */
export class LiveView implements Watcher {
  readonly #out: Pick<WriteStream, "write" | "columns">;
  readonly #hasColour: boolean;
  #readings: readonly Reading[] = [];
  #timer: NodeJS.Timeout | undefined;
  #lines = 0;
  #trial: string | undefined;

  constructor(out: Pick<WriteStream, "write" | "columns">, hasColour: boolean) {
    this.#out = out;
    this.#hasColour = hasColour;
  }

  onStart(readings: readonly Reading[]): void {
    this.#readings = readings;
    this.#timer = setInterval(() => this.#draw(), FRAME_MS);
    this.#draw();
  }

  onTrial(what: string): void {
    this.#trial = what;
    this.#draw();
  }

  /** Stops drawing and erases the picture. */
  close(): void {
    clearInterval(this.#timer);
    this.#out.write(this.#erasing());
    this.#lines = 0;
  }

  /** The escape sequence that erases the picture. */
  #erasing(): string {
    return this.#lines > 0 ? `\u001b[${this.#lines}A\u001b[J` : "";
  }

  #draw(): void {
    const width = Math.max(20, (this.#out.columns || 80) - 1);
    const longest = Math.max(...this.#readings.map(({ name }) => name.length));
    const lines = this.#readings.map((reading) => this.#line(reading, longest, width));
    if (this.#trial !== undefined) lines.push(`trying: ${this.#trial}`.slice(0, width));
    // One write, because two would flicker.
    this.#out.write(`${this.#erasing()}${lines.join("\n")}\n`);
    this.#lines = lines.length;
  }

  #line(reading: Reading, longest: number, width: number): string {
    const until = reading.end?.at ?? performance.now();
    const state = reading.fault !== undefined ? "failed" : reading.head === undefined ? "waiting" : "";
    const count = `${reading.events.length} event${reading.events.length === 1 ? "" : "s"}`;
    const lag = lagsOf(reading, this.#readings);
    const start = `${reading.name.padEnd(longest)} ${stripOf(reading, until)} ${(state || count).padEnd(11)}`;
    if (lag === undefined) return start.slice(0, width);
    const blocks = Math.min(MAX_BLOCKS, Math.round(lag.medianMs / BLOCK_MS));
    const text = `lag ${seconds(lag.medianMs).padStart(7)} ${"█".repeat(blocks)}`;
    const end = text.slice(0, Math.max(0, width - start.length));
    return start.slice(0, width) + this.#coloured(end, lag.medianMs > LATE_MS ? RED : GREEN);
  }

  #coloured(text: string, colour: string): string {
    return this.#hasColour ? colour + text + RESET : text;
  }
}

/** The latest events, the newest on the right: `·` none, `▪` one, `█` several in one slot. */
function stripOf({ events }: Reading, until: number): string {
  const counts = new Array<number>(SLOTS).fill(0);
  for (let at = events.length - 1; at >= 0; at -= 1) {
    const slot = SLOTS - 1 - Math.floor((until - (events[at]?.lastAt ?? 0)) / SLOT_MS);
    if (slot < 0) break;
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  return counts.map((count) => (count === 0 ? "·" : count === 1 ? "▪" : "█")).join("");
}
