import { Directive } from "./directive.ts";
import { Lexer, type Statement } from "./lexer.ts";
import { endOfLua } from "./lua.ts";
import type { SourceFile } from "./source-file.ts";
import { SyntaxFault } from "./syntax-fault.ts";
import type { Token } from "./token.ts";

/** The deepest nesting of blocks; nginx itself is limited only by its stack. */
const MAX_DEPTH = 100;

/** The maximum number of directives of one configuration: the reader ignores the rest. */
export const MAX_DIRECTIVES = 500_000;

/** The directives of a file up to its first syntax error, and that error. */
export interface Parsed {
  readonly directives: readonly Directive[];
  readonly fault: SyntaxFault | undefined;
}

/** A block that is open at the current offset. */
interface OpenBlock {
  readonly words: readonly Token[];
  readonly opened: number;
  readonly directives: Directive[];
}

const LUA_BLOCK = /_by_lua_block$/;

/** Parses a file into a tree, without its includes. Never throws; the tree ends at the first syntax error. */
export function parse(file: SourceFile): Parsed {
  return new Parser(file).parse();
}

class Parser {
  readonly #file: SourceFile;
  readonly #lexer: Lexer;
  readonly #top: Directive[] = [];
  readonly #open: OpenBlock[] = [];
  #count = 0;

  constructor(file: SourceFile) {
    this.#file = file;
    this.#lexer = new Lexer(file);
  }

  parse(): Parsed {
    try {
      while (this.#count <= MAX_DIRECTIVES && this.#take(this.#lexer.next()));
      this.#closeAll();
      return { directives: this.#top, fault: undefined };
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error;
      this.#closeAll();
      return { directives: this.#top, fault: error };
    }
  }

  /** Adds a statement to the tree. Returns false at the end of the file. */
  #take({ kind, words, end }: Statement): boolean {
    if (kind === "simple") this.#add(new Directive(words, end));
    else if (kind === "block") this.#openBlock(words, end);
    else if (kind === "close" && this.#open.length === 0) throw this.#fault('unexpected "}"', end - 1);
    else if (kind === "close") this.#close(end);
    else if (this.#open.length > 0) throw this.#fault('unexpected end of file, expecting "}"', end);
    return kind !== "end";
  }

  #openBlock(words: readonly Token[], opened: number): void {
    if (LUA_BLOCK.test(words[0]?.value ?? "")) {
      this.#addLua(words, opened);
      return;
    }
    if (this.#open.length >= MAX_DEPTH) throw this.#fault(`more than ${MAX_DEPTH} nested blocks`, opened - 1);
    this.#open.push({ words, opened, directives: [] });
  }

  #addLua(words: readonly Token[], opened: number): void {
    const close = endOfLua(this.#file.text, opened);
    if (close === undefined) throw this.#fault('Lua code block missing the closing "}"', opened - 1);
    this.#add(new Directive(words, close + 1, opened, []));
    this.#lexer.jumpTo(close + 1);
  }

  #close(end: number): void {
    const block = this.#open.pop();
    if (block !== undefined) this.#add(new Directive(block.words, end, block.opened, block.directives));
  }

  /** Closes the open blocks where reading stops; they keep the directives read so far. */
  #closeAll(): void {
    while (this.#open.length > 0) this.#close(this.#file.text.length);
  }

  #add(directive: Directive): void {
    this.#count += 1;
    (this.#open.at(-1)?.directives ?? this.#top).push(directive);
  }

  #fault(message: string, offset: number): SyntaxFault {
    return new SyntaxFault(message, this.#file, offset);
  }
}
