import type { SourceFile } from "./source-file.ts";
import { SyntaxFault } from "./syntax-fault.ts";
import { type Quote, Token } from "./token.ts";

/** The result of one `next`: the words up to a `;` or `{`, a `}`, or the end of the file. */
export interface Statement {
  readonly kind: "simple" | "block" | "close" | "end";
  readonly words: readonly Token[];
  /** The offset after the `;`, `{` or `}`. */
  readonly end: number;
}

/** NGX_CONF_BUFFER: nginx refuses a word or a comment of that many bytes or more. */
const MAX_WORD_BYTES = 4096;

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const DOUBLE_QUOTE = 34;
const HASH = 35;
const DOLLAR = 36;
const SINGLE_QUOTE = 39;
const CLOSE_PARENTHESIS = 41;
const SEMICOLON = 59;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

const isSpace = (code: number): boolean => code === SPACE || code === TAB || code === CR || code === LF;

/**
 * Splits a file into statements as `ngx_conf_read_token` does, with its quirks: a `"` inside a word is an
 * ordinary character, `a}b` is one word, `${` opens no block, and a backslash stays unless it precedes a quote,
 * a backslash, t, r or n.
 */
export class Lexer {
  readonly #file: SourceFile;
  readonly #text: string;
  #at: number;

  constructor(file: SourceFile) {
    this.#file = file;
    this.#text = file.text;
    this.#at = file.hasByteOrderMark ? 1 : 0;
  }

  /** Continues at another offset: after a block in another language than nginx's. */
  jumpTo(offset: number): void {
    this.#at = offset;
  }

  /** Reads the next statement. Throws SyntaxFault if nginx would not start. */
  next(): Statement {
    const words: Token[] = [];
    for (;;) {
      const code = this.#skipToWord(words);
      const start = this.#at;
      if (code === SEMICOLON || code === OPEN_BRACE) {
        this.#at += 1;
        if (words.length === 0) throw this.#unexpected(start);
        return { kind: code === SEMICOLON ? "simple" : "block", words, end: this.#at };
      }
      if (code === CLOSE_BRACE) {
        if (words.length > 0) throw this.#unexpected(start);
        this.#at += 1;
        return { kind: "close", words, end: this.#at };
      }
      if (code === undefined) return { kind: "end", words, end: this.#at };
      const isQuoted = code === DOUBLE_QUOTE || code === SINGLE_QUOTE;
      words.push(isQuoted ? this.#readQuoted(start, code) : this.#readBare(start));
    }
  }

  /** Skips blanks and comments. Returns the code of the next character, undefined at the end of the file. */
  #skipToWord(words: readonly Token[]): number | undefined {
    while (this.#at < this.#text.length) {
      const code = this.#text.charCodeAt(this.#at);
      if (isSpace(code)) this.#at += 1;
      else if (code === HASH) this.#skipComment();
      else return code;
    }
    if (words.length > 0) throw this.#unexpectedEnd();
    return undefined;
  }

  /** Skips a comment up to its line break. */
  #skipComment(): void {
    const start = this.#at;
    const end = this.#file.lineEnd(start);
    this.#checkLength(start, end, undefined);
    const text = this.#text.slice(start, end);
    this.#file.comments.push({ text: text.endsWith("\r") ? text.slice(0, -1) : text, start, end });
    this.#at = end;
  }

  #readBare(start: number): Token {
    let isVariable = false;
    for (let at = start; at < this.#text.length; at += 1) {
      const code = this.#text.charCodeAt(at);
      if (code === OPEN_BRACE && isVariable) continue;
      isVariable = code === DOLLAR;
      if (code === BACKSLASH) at += 1;
      else if (isSpace(code) || code === SEMICOLON || code === OPEN_BRACE) {
        this.#checkLength(start, at, undefined);
        this.#at = at;
        return this.#token(start, at, undefined);
      }
    }
    throw this.#unexpectedEnd(start);
  }

  #readQuoted(start: number, quoteCode: number): Token {
    const quote = quoteCode === DOUBLE_QUOTE ? '"' : "'";
    for (let at = start + 1; at < this.#text.length; at += 1) {
      const code = this.#text.charCodeAt(at);
      if (code === BACKSLASH) at += 1;
      else if (code === quoteCode) {
        // nginx's buffer holds the text after the opening quote, the closing quote and the character after it.
        this.#checkLength(start + 1, at + 1, quote);
        this.#at = at + 1;
        this.#expectEndOfWord();
        return this.#token(start, at + 1, quote);
      }
    }
    throw this.#unexpectedEnd(start + 1, quote);
  }

  /** Throws unless a blank, `;`, `{` or `)` follows a quoted word. */
  #expectEndOfWord(): void {
    if (this.#at >= this.#text.length) throw this.#unexpectedEnd();
    const code = this.#text.charCodeAt(this.#at);
    if (!isSpace(code) && code !== SEMICOLON && code !== OPEN_BRACE && code !== CLOSE_PARENTHESIS) {
      throw this.#unexpected(this.#at);
    }
  }

  #token(start: number, end: number, quote: Quote): Token {
    const inner = quote === undefined ? this.#text.slice(start, end) : this.#text.slice(start + 1, end - 1);
    return new Token(unescapeWord(inner), this.#file, start, end, quote);
  }

  #checkLength(start: number, end: number, quote: Quote): void {
    // UTF-8 has at most three bytes for each UTF-16 unit, so short words need no count of bytes.
    if ((end - start) * 3 < MAX_WORD_BYTES) return;
    if (this.#file.byteOffset(end) - this.#file.byteOffset(start) < MAX_WORD_BYTES) return;
    throw this.#tooLong(start, quote);
  }

  #tooLong(start: number, quote: Quote): SyntaxFault {
    const head = this.#text.slice(start, start + 10);
    const message =
      quote === undefined
        ? `too long parameter "${head}..." started`
        : `too long parameter, probably missing terminating "${quote}" character`;
    return new SyntaxFault(message, this.#file, start);
  }

  #unexpected(offset: number): SyntaxFault {
    return new SyntaxFault(`unexpected "${this.#text.charAt(offset)}"`, this.#file, offset);
  }

  /** Returns the fault at the end of the file; an unfinished word from `start` may fill nginx's buffer earlier. */
  #unexpectedEnd(start = this.#text.length, quote?: Quote): SyntaxFault {
    if (Buffer.byteLength(this.#text.slice(start, start + MAX_WORD_BYTES + 1)) > MAX_WORD_BYTES) {
      return this.#tooLong(start, quote);
    }
    const message = 'unexpected end of file, expecting ";" or "}"';
    return new SyntaxFault(message, this.#file, this.#text.length);
  }
}

const ESCAPED: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  t: "\t",
  r: "\r",
  n: "\n",
};

function unescapeWord(raw: string): string {
  if (!raw.includes("\\")) return raw;
  return raw.replace(/\\(["'\\trn])/g, (_, letter: string) => ESCAPED[letter] ?? letter);
}
