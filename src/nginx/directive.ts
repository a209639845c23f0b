import type { SourceFile } from "./source-file.ts";
import type { Token } from "./token.ts";

/** One directive of a file with its block, if any. An `include` is not resolved here. */
export class Directive {
  readonly name: string;
  /** The name and its arguments. */
  readonly words: readonly Token[];
  /** The directives in the braces; undefined for a directive that ends with `;`, empty for a Lua block. */
  readonly block: readonly Directive[] | undefined;
  /** The offset after the `;` or the closing `}`. */
  readonly end: number;
  /** The offset after the `{`; undefined without a block. */
  readonly opened: number | undefined;
  readonly file: SourceFile;
  #args: readonly string[] | undefined;

  constructor(words: readonly Token[], end: number, opened?: number, block?: readonly Directive[]) {
    const [first] = words;
    if (first === undefined) throw new TypeError("a directive has at least one word");
    this.name = first.value;
    this.file = first.file;
    this.words = words;
    this.end = end;
    this.opened = opened;
    this.block = block;
  }

  get start(): number {
    return this.words[0]?.start ?? 0;
  }

  get line(): number {
    return this.file.place(this.start).line;
  }

  /** The arguments as nginx reads them: without quotes and with escapes resolved. */
  get args(): readonly string[] {
    this.#args ??= this.words.slice(1).map(({ value }) => value);
    return this.#args;
  }

  /** Returns an argument's value; empty if it is missing. */
  arg(index: number): string {
    return this.words[index + 1]?.value ?? "";
  }

  get value(): string {
    return this.args.join(" ");
  }

  /** The place for messages, such as `site.conf:12`. */
  get at(): string {
    return `${this.file.path}:${this.line}`;
  }

  /** Whether any word has a `${NAME}` that envsubst fills in: nginx has no variable in capitals. */
  get hasPlaceholder(): boolean {
    return this.words.some(({ value }) => isPlaceholder(value));
  }
}

/** Whether a word has a `${NAME}` in capitals: a placeholder of envsubst, no variable of nginx. */
export const isPlaceholder = (word: string): boolean => /\$\{[A-Z][A-Z0-9_]*\}/.test(word);
