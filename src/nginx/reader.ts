import { dirname, isAbsolute, join, normalize } from "node:path";
import type { Configuration, ReadProblem } from "./configuration.ts";
import type { Directive } from "./directive.ts";
import { type ConfigurationFiles, FileFault } from "./files.ts";
import { contextOfFragment, levelFor } from "./fragment.ts";
import { isGlob } from "./glob.ts";
import { kindOfBlock, Level } from "./level.ts";
import { MAX_DIRECTIVES, type Parsed, parse } from "./parse.ts";
import { SourceFile } from "./source-file.ts";

/** The bounds of one configuration; beyond a bound, reading stops with a problem. Each inclusion counts. */
export const READ_LIMITS = {
  /** The size of all files together. */
  bytes: 10 * 1024 * 1024,
  files: 10_000,
  directives: MAX_DIRECTIVES,
  /** The depth of files that include one another. */
  includeDepth: 50,
  /** The depth of nested blocks over all files. */
  levels: 200,
} as const;

export interface ReadOptions {
  /** The directory for relative includes; by default the main file's directory, as in nginx. */
  readonly root?: string | undefined;
}

/** Reads a configuration from its main file, or a fragment. Throws FileFault if that file cannot be read. */
export function readConfiguration(
  path: string,
  files: ConfigurationFiles,
  options: ReadOptions = {},
): Configuration {
  return readConfigurations([path], files, options);
}

/**
 * Reads files as one configuration: a main file, or fragments that an unknown main file includes one after
 * another, such as those of `conf.d`. Throws FileFault if any of them cannot be read.
 */
export function readConfigurations(
  paths: readonly string[],
  files: ConfigurationFiles,
  { root = dirname(paths[0] ?? "") }: ReadOptions = {},
): Configuration {
  return new Reader(files, root).read(paths);
}

/** The current level, the current file and the files that include it. */
interface Place {
  readonly level: Level;
  readonly chain: readonly string[];
  readonly depth: number;
}

class Reader {
  readonly #files: ConfigurationFiles;
  readonly #root: string;
  readonly #problems: ReadProblem[] = [];
  readonly #parsed = new Map<string, { readonly file: SourceFile; readonly parsed: Parsed }>();
  readonly #inclusions = new Map<Directive, SourceFile[]>();
  readonly #unread = new Set<string>();
  #bytes = 0;
  #opened = 0;
  #directives = 0;
  #isFull = false;

  constructor(files: ConfigurationFiles, root: string) {
    this.#files = files;
    this.#root = root;
  }

  read(paths: readonly string[]): Configuration {
    const main = new Level("main");
    let isWhole = false;
    const fragments = new Map<string, Level>();
    for (const path of paths) {
      const { parsed } = this.#open(path);
      const kind = contextOfFragment(parsed.directives);
      isWhole ||= kind === "main";
      // Fragments of `http` are parts of one block; fragments of a location are independent.
      const shared = kind === "http" || kind === "stream" ? fragments.get(kind) : undefined;
      const level = shared ?? levelFor(kind, main);
      fragments.set(kind, level);
      this.#fill(parsed.directives, { level, chain: [normalize(path)], depth: 0 });
    }
    const files = [...this.#parsed.values()].map(({ file }) => file);
    return { main, files, inclusions: this.#inclusions, isWhole, problems: this.#problems };
  }

  /** Reads and parses a file, or returns the result of an earlier inclusion. */
  #open(path: string): { readonly file: SourceFile; readonly parsed: Parsed } {
    const left = READ_LIMITS.bytes - this.#bytes;
    const known = this.#parsed.get(normalize(path));
    if (known !== undefined && known.file.text.length > left) {
      throw new FileFault(`has more bytes than the limit leaves (${left})`);
    }
    const opened = known ?? this.#parse(path, left);
    this.#opened += 1;
    this.#bytes += opened.file.text.length;
    return opened;
  }

  #parse(path: string, left: number): { readonly file: SourceFile; readonly parsed: Parsed } {
    const content = this.#files.read(path, left);
    const file = new SourceFile(this.#files.shownPath(path), content, this.#files.isWritable);
    const parsed = parse(file);
    this.#parsed.set(normalize(path), { file, parsed });
    const mark =
      parsed.fault !== undefined || parsed.directives.some(isMark) ? findTemplateMark(file) : undefined;
    if (mark !== undefined) {
      this.#report("template", "this is a template; name the rendered file instead", file, mark);
    } else if (parsed.fault !== undefined) {
      this.#report("syntax", parsed.fault.message, file, parsed.fault.offset);
    }
    if (file.hasByteOrderMark) {
      this.#report("syntax", "nginx reads a byte order mark as an unknown directive", file, 0);
    }
    return { file, parsed };
  }

  #fill(directives: readonly Directive[], place: Place): void {
    for (const directive of directives) {
      if (this.#isFull || !this.#count(directive)) return;
      if (directive.name === "include" && directive.block === undefined) this.#include(directive, place);
      else this.#add(directive, place);
    }
  }

  #add(directive: Directive, { level, chain, depth }: Place): void {
    level.add(directive);
    if (directive.block === undefined) return;
    if (depth >= READ_LIMITS.levels) {
      this.#refuse(`more than ${READ_LIMITS.levels} nested blocks`, directive);
      return;
    }
    const inner = new Level(kindOfBlock(level.kind, directive.name), level, directive);
    this.#fill(directive.block, { level: inner, chain, depth: depth + 1 });
  }

  #count(directive: Directive): boolean {
    this.#directives += 1;
    if (this.#directives <= READ_LIMITS.directives) return true;
    this.#isFull = true;
    this.#refuse(`more than ${READ_LIMITS.directives} directives; reading stops here`, directive);
    return false;
  }

  #include(directive: Directive, place: Place): void {
    const written = directive.arg(0);
    const path = isAbsolute(written) ? written : join(this.#root, written);
    const paths = isGlob(written) ? this.#files.glob(path) : [path];
    this.#inclusions.set(directive, []);
    for (const found of paths) {
      if (place.chain.includes(normalize(found))) {
        this.#refuse(`${written} includes itself`, directive);
      } else if (place.chain.length >= READ_LIMITS.includeDepth) {
        this.#refuse(`more than ${READ_LIMITS.includeDepth} files include one another`, directive);
      } else if (this.#opened >= READ_LIMITS.files) {
        this.#refuse(`more than ${READ_LIMITS.files} files; reading stops here`, directive);
        this.#isFull = true;
      } else this.#includeFile(found, directive, place);
      if (this.#isFull) return;
    }
  }

  #includeFile(path: string, directive: Directive, { level, chain, depth }: Place): void {
    let directives: readonly Directive[];
    try {
      const { file, parsed } = this.#open(path);
      directives = parsed.directives;
      this.#inclusions.get(directive)?.push(file);
    } catch (error) {
      if (!(error instanceof FileFault)) throw error;
      level.unread.push(directive);
      const kind = error.isMissing ? "missing" : "unreadable";
      if (this.#isNew(path)) this.#report(kind, `${path} ${error.message}`, directive.file, directive.start);
      return;
    }
    this.#fill(directives, { level, chain: [...chain, normalize(path)], depth });
  }

  /** Whether a path is reported for the first time: a missing snippet is often included in every location. */
  #isNew(path: string): boolean {
    const isNew = !this.#unread.has(path) && this.#unread.size < MAX_PROBLEMS;
    if (isNew) this.#unread.add(path);
    return isNew;
  }

  #refuse(message: string, { file, start }: Directive): void {
    this.#report("unreadable", message, file, start);
  }

  #report(kind: ReadProblem["kind"], message: string, file: SourceFile, offset: number): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push({ kind, message, file, offset });
  }
}

/** The maximum number of problems of one configuration: more would only repeat themselves. */
const MAX_PROBLEMS = 1000;

const isMark = ({ name }: Directive): boolean => name.startsWith("<%") || /^%\w+%$/.test(name);

const MARK = /\{\{|\{%|<%|^[ \t]*%\w{1,64}%[ \t]*$/;

/**
 * Returns the offset of a template engine's mark (`{{ }}`, `{% %}`, `<% %>`, a line of `%NAME%`), undefined
 * without any. Comment lines are ignored.
 */
function findTemplateMark(file: SourceFile): number | undefined {
  for (let start = 0; start <= file.text.length; ) {
    const end = file.lineEnd(start);
    const line = file.slice(start, end);
    const found = /^[ \t]*#/.test(line) ? null : MARK.exec(line);
    if (found !== null) return start + found.index;
    start = end + 1;
  }
  return undefined;
}
