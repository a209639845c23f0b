/** A place in a file: line and column from 1, the column in UTF-16 units as editors count it. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A comment with its `#` and without its line break. */
export interface Comment {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const BYTE_ORDER_MARK = "\ufeff";

/**
 * One file of a configuration, as text.
 *
 * Offsets count UTF-16 units of `text`. nginx reads bytes, but only ASCII bytes separate words, so the words are
 * the same. A file that is not UTF-8 is read as Latin-1, one character for each byte. `encode` returns exactly
 * the bytes that were read.
 */
export class SourceFile {
  readonly path: string;
  readonly text: string;
  /** Whether a fix may write the file: false for a part of a dump. */
  readonly isWritable: boolean;
  /** The comments in file order; the lexer adds them. */
  readonly comments: Comment[] = [];
  readonly #encoding: "utf8" | "latin1";
  #lineStarts: readonly number[] | undefined;

  constructor(path: string, content: Buffer | string, isWritable = false) {
    this.path = path;
    this.isWritable = isWritable;
    const utf8 = typeof content === "string" ? content : decodeUtf8(content);
    this.#encoding = utf8 === undefined ? "latin1" : "utf8";
    this.text = utf8 ?? content.toString("latin1");
  }

  get hasByteOrderMark(): boolean {
    return this.text.startsWith(BYTE_ORDER_MARK);
  }

  place(offset: number): Place {
    this.#lineStarts ??= findLineStarts(this.text);
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (this.#lineStarts[low] ?? 0) + 1 };
  }

  /** Returns the offset of the start of the line that contains `offset`. */
  lineStart(offset: number): number {
    return this.text.lastIndexOf("\n", offset - 1) + 1;
  }

  /** Returns the offset of the next line break from `offset` on, or the end of the file. */
  lineEnd(offset: number): number {
    const end = this.text.indexOf("\n", offset);
    return end < 0 ? this.text.length : end;
  }

  /** Returns the blanks at the start of the line that contains `offset`. */
  indentation(offset: number): string {
    return /^[ \t]*/.exec(this.text.slice(this.lineStart(offset), offset))?.[0] ?? "";
  }

  /** Returns the number of bytes before an offset. */
  byteOffset(offset: number): number {
    return this.#encoding === "latin1" ? offset : Buffer.byteLength(this.text.slice(0, offset), "utf8");
  }

  /** Whether the file's encoding can hold a text of another origin. */
  canTake(text: string): boolean {
    return this.#encoding === "utf8" || /^\p{ASCII}*$/u.test(text);
  }

  /** Returns the bytes of a text that replaces this file's. */
  encode(text: string): Buffer {
    return Buffer.from(text, this.#encoding);
  }

  slice(start: number, end: number): string {
    return this.text.slice(start, end);
  }
}

function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function findLineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}
