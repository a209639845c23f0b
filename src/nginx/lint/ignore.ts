import type { Configuration } from "../configuration.ts";
import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import type { Comment, SourceFile } from "../source-file.ts";
import type { Range } from "./finding.ts";

const IGNORE = /^#+\s*sluice-ignore\b:?\s*(.*)$/;

/** A range of a file in which rules do not report. */
interface IgnoredRange {
  readonly start: number;
  readonly end: number;
  /** The ignored rules; undefined for all. */
  readonly rules: ReadonlySet<string> | undefined;
}

/**
 * The ranges that `# sluice-ignore: RULE, RULE` covers: at the end of a line, the directive that begins there; on
 * a line of its own, the next directive. A block is covered as a whole. Without rules it means all of them.
 */
export class Ignored {
  readonly #ranges = new Map<SourceFile, IgnoredRange[]>();

  constructor({ main, files }: Configuration) {
    const marked = files.filter(({ comments }) => comments.some(({ text }) => IGNORE.test(text)));
    if (marked.length === 0) return;
    const starts = startsByFile(main);
    for (const file of marked) {
      this.#ranges.set(file, rangesOf(file, starts.get(file) ?? new Map<number, Directive>()));
    }
  }

  has(rule: string, { file, start }: Range): boolean {
    const ranges = this.#ranges.get(file) ?? [];
    return ranges.some(
      (range) => range.start <= start && start < range.end && (range.rules?.has(rule) ?? true),
    );
  }

  /** Whether the rule is ignored for a location. */
  hasLevel(rule: string, level: Level | undefined): boolean {
    return level?.directive !== undefined && this.has(rule, level.directive);
  }
}

/** Returns the first directive of each line, by file and line. */
function startsByFile(main: Level): Map<SourceFile, Map<number, Directive>> {
  const starts = new Map<SourceFile, Map<number, Directive>>();
  for (const level of main.inward()) {
    for (const directive of level.directives) {
      const lines = starts.get(directive.file) ?? new Map<number, Directive>();
      starts.set(directive.file, lines);
      if (!lines.has(directive.line)) lines.set(directive.line, directive);
    }
  }
  return starts;
}

/** The maximum number of comments of one file: every finding is compared with each of them. */
const MAX_COMMENTS = 1000;

function rangesOf(file: SourceFile, starts: ReadonlyMap<number, Directive>): IgnoredRange[] {
  const comments = file.comments.filter(({ text }) => IGNORE.test(text)).slice(0, MAX_COMMENTS);
  return comments.flatMap((comment) => {
    const list = IGNORE.exec(comment.text)?.[1] ?? "";
    const names = list.split(/[\s,]+/).filter((name) => name !== "");
    const rules = names.length === 0 ? undefined : new Set(names);
    return [{ ...rangeOf(file, comment, starts), rules }];
  });
}

function rangeOf(file: SourceFile, comment: Comment, starts: ReadonlyMap<number, Directive>) {
  const lineStart = file.lineStart(comment.start);
  const isAlone = file.slice(lineStart, comment.start).trim() === "";
  const from = isAlone ? nextLine(file, comment) : lineStart;
  const directive = starts.get(file.place(from).line);
  return { start: from, end: Math.max(directive?.end ?? 0, file.lineEnd(from)) };
}

/** Returns the start of the next line that is neither empty nor a comment. */
function nextLine(file: SourceFile, { end }: Comment): number {
  let start = end + 1;
  while (start < file.text.length && /^\s*(?:#.*)?$/.test(file.slice(start, file.lineEnd(start)))) {
    start = file.lineEnd(start) + 1;
  }
  return Math.min(start, file.text.length);
}
