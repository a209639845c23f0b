import type { SourceFile } from "./source-file.ts";

/** The quote around a word. */
export type Quote = '"' | "'" | undefined;

/** One word of a configuration, with its place. */
export class Token {
  /** The word as nginx reads it: without quotes; `\"`, `\'`, `\\`, `\t`, `\r` and `\n` resolved. */
  readonly value: string;
  readonly file: SourceFile;
  /** The offset of the raw word, quotes included; `end` is the offset after it. */
  readonly start: number;
  readonly end: number;
  readonly quote: Quote;

  constructor(value: string, file: SourceFile, start: number, end: number, quote: Quote) {
    this.value = value;
    this.file = file;
    this.start = start;
    this.end = end;
    this.quote = quote;
  }

  /** The word as written, with its quotes. */
  get raw(): string {
    return this.file.slice(this.start, this.end);
  }

  get line(): number {
    return this.file.place(this.start).line;
  }

  get column(): number {
    return this.file.place(this.start).column;
  }
}
