import type { Directive } from "./directive.ts";
import type { Level } from "./level.ts";
import type { SourceFile } from "./source-file.ts";

/** What kept the reader from reading all of it. */
export interface ReadProblem {
  /**
   * `syntax`: nginx would not start; `template`: a template engine's marks; `missing`: an included file that is
   * not there; `unreadable`: one that is and cannot be read, or one too many.
   */
  readonly kind: "syntax" | "template" | "missing" | "unreadable";
  readonly message: string;
  readonly file: SourceFile;
  readonly offset: number;
}

/** One nginx configuration, read with all that it includes. */
export interface Configuration {
  readonly main: Level;
  /** In the order of reading, each once. */
  readonly files: readonly SourceFile[];
  /** The files that each `include` has brought in. */
  readonly inclusions: ReadonlyMap<Directive, readonly SourceFile[]>;
  /** False for a fragment: levels around it are not known. */
  readonly isWhole: boolean;
  readonly problems: readonly ReadProblem[];
}

/** All levels of a kind, in the order of the text. */
export function levelsOf({ main }: Configuration, kind: Level["kind"]): Level[] {
  return [...main.inward()].filter((level) => level.kind === kind);
}

/** The `upstream` block of a name, within http. */
export function findUpstream({ main }: Configuration, name: string): Level | undefined {
  for (const http of main.levels) {
    if (http.kind !== "http") continue;
    const found = http.levels.find((level) => level.kind === "upstream" && level.directive?.arg(0) === name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The `map` that sets a variable, which is named with its dollar sign. */
export function findMap({ main }: Configuration, variable: string): Directive | undefined {
  for (const http of main.levels) {
    const found = http.own("map").find((directive) => directive.arg(1) === variable);
    if (found !== undefined) return found;
  }
  return undefined;
}
