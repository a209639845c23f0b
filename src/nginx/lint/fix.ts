import type { Configuration } from "../configuration.ts";
import { readSource, type Source } from "./inputs.ts";
import type { LintOptions } from "./options.ts";
import { applyEdits, chooseApart, type Fixable, isFixable, PatchedFiles } from "./patch.ts";
import { lint } from "./result.ts";
import { changedNames, takeSnapshot } from "./snapshot.ts";

/** The maximum number of passes: a fix may reveal another finding, but no chain of findings is that long. */
const MAX_PASSES = 10;

/**
 * The maximum number of blocks of a configuration that is fixed: a bigger one is generated, so its generator needs
 * the fix.
 */
const MAX_LEVELS = 20_000;

/** A file that the fixes change. */
export interface FixedFile {
  readonly path: string;
  readonly before: Buffer;
  readonly after: Buffer;
}

/** The result of fixing a configuration. */
export interface Fixed {
  readonly files: readonly FixedFile[];
  /** The fixed findings. */
  readonly fixed: readonly Fixable[];
  /** The findings whose fix would have changed more than it declares. */
  readonly refused: readonly Fixable[];
}

/** The files that may be written, and whether findings of possible streams are fixed too. */
export interface FixScope {
  mayWrite(path: string): boolean;
  readonly fixesPossible: boolean;
}

/**
 * Applies all fixes in memory. A fix counts only if the result still parses, and if only the effective values
 * that the fix declares differ.
 */
export function fixSource(source: Source, options: LintOptions, scope: FixScope): Fixed {
  const run = new FixRun(source, options, scope);
  if (!run.isSmallEnough) return run.result();
  for (let pass = 0; pass < MAX_PASSES && run.pass(); pass += 1);
  return run.result();
}

class FixRun {
  readonly #source: Source;
  readonly #options: LintOptions;
  readonly #scope: FixScope;
  #patches = new Map<string, Buffer>();
  readonly #originals = new Map<string, Buffer>();
  readonly #fixed: Fixable[] = [];
  readonly #refused = new Map<string, Fixable>();

  constructor(source: Source, options: LintOptions, scope: FixScope) {
    this.#source = source;
    this.#options = options;
    this.#scope = scope;
  }

  /** Whether the configuration is small enough to compare the effective values of all blocks. */
  get isSmallEnough(): boolean {
    let levels = 0;
    for (const _ of this.#read(this.#patches).main.inward()) levels += 1;
    return levels <= MAX_LEVELS;
  }

  /** Runs one pass. Returns false if nothing is left to fix. */
  pass(): boolean {
    const before = this.#read(this.#patches);
    const { findings, isBroken } = lint(before, this.#options);
    const fixable = findings
      .filter(isFixable)
      .filter((finding) => this.#isInScope(finding) && (!isBroken || finding.fix.changes.length === 0));
    const chosen = chooseApart(fixable);
    if (chosen.length === 0) return false;
    if (this.#try(before, chosen)) return true;
    // The fixes do not work together: try each by itself against the same text.
    for (const finding of chosen) {
      if (this.#try(before, [finding])) return true;
      this.#refused.set(keyOf(finding), finding);
    }
    return true;
  }

  result(): Fixed {
    const files = [...this.#patches].map(([path, after]) => ({
      path,
      before: this.#originals.get(path) ?? after,
      after,
    }));
    return {
      files: files.filter(({ before, after }) => !before.equals(after)),
      fixed: this.#fixed,
      refused: [...this.#refused.values()],
    };
  }

  #isInScope(finding: Fixable): boolean {
    if (this.#refused.has(keyOf(finding)) || (finding.isPossible && !this.#scope.fixesPossible)) return false;
    return finding.fix.edits.every(
      ({ file, text }) => file.isWritable && file.canTake(text) && this.#scope.mayWrite(file.path),
    );
  }

  #try(before: Configuration, findings: readonly Fixable[]): boolean {
    const patches = new Map(this.#patches);
    for (const [file, bytes] of applyEdits(findings.flatMap(({ fix }) => fix.edits))) {
      if (!this.#originals.has(file.path)) this.#originals.set(file.path, file.encode(file.text));
      patches.set(file.path, bytes);
    }
    if (!this.#changesOnly(before, this.#read(patches), findings)) return false;
    this.#patches = patches;
    this.#fixed.push(...findings);
    return true;
  }

  #changesOnly(before: Configuration, after: Configuration, findings: readonly Fixable[]): boolean {
    if (after.problems.length > before.problems.length) return false;
    // After a syntax fix the reader reads more than before, so there is nothing to compare.
    if (findings.every(({ fix }) => fix.changes.length === 0)) return true;
    const allowed = new Set(findings.flatMap(({ fix }) => fix.changes));
    const { version } = this.#options;
    const changed = changedNames(takeSnapshot(before, version), takeSnapshot(after, version));
    if (changed === undefined) return allowed.has("if");
    return [...changed].every((name) => allowed.has(name));
  }

  #read(patches: ReadonlyMap<string, Buffer>): Configuration {
    return readSource(this.#source, new PatchedFiles(this.#source.files, patches));
  }
}

const keyOf = ({ rule, at }: Fixable): string => `${rule} ${at.file.path} ${at.start}`;
