import type { Directive } from "./directive.ts";
import type { Level } from "./level.ts";
import type { SourceFile } from "./source-file.ts";

/** A reason why the configuration could not be read completely. */
export interface ReadProblem {
  /**
   * `syntax`: nginx would not start; `template`: the file has a template engine's marks; `missing`: an included
   * file does not exist; `unreadable`: an included file cannot be read, or a limit of the reader is reached.
   */
  readonly kind: "syntax" | "template" | "missing" | "unreadable";
  readonly message: string;
  readonly file: SourceFile;
  readonly offset: number;
}

/** One nginx configuration with all files that it includes. */
export interface Configuration {
  readonly main: Level;
  /** Every file once, in the order of reading. */
  readonly files: readonly SourceFile[];
  /** The files that each `include` directive includes. */
  readonly inclusions: ReadonlyMap<Directive, readonly SourceFile[]>;
  /** False for a fragment: its outer levels are not known. */
  readonly isWhole: boolean;
  readonly problems: readonly ReadProblem[];
}

/** Returns all levels of a kind in file order. */
export function levelsOf({ main }: Configuration, kind: Level["kind"]): Level[] {
  return [...main.inward()].filter((level) => level.kind === kind);
}

/** The named blocks of a configuration, indexed because every location may need them. */
interface Names {
  readonly upstreams: ReadonlyMap<string, Level>;
  readonly maps: ReadonlyMap<string, Directive>;
}

const known = new WeakMap<Configuration, Names>();

function namesOf(configuration: Configuration): Names {
  const names = known.get(configuration);
  if (names !== undefined) return names;
  const upstreams = new Map<string, Level>();
  const maps = new Map<string, Directive>();
  for (const http of configuration.main.levels) {
    if (http.kind !== "http") continue;
    for (const level of http.levels) {
      const name = level.directive?.arg(0);
      if (level.kind === "upstream" && name !== undefined && !upstreams.has(name)) upstreams.set(name, level);
      const isMap = level.directive?.name === "map";
      const variable = level.directive?.arg(1);
      if (isMap && variable !== undefined && level.directive && !maps.has(variable)) {
        maps.set(variable, level.directive);
      }
    }
  }
  known.set(configuration, { upstreams, maps });
  return { upstreams, maps };
}

/** Returns the `upstream` block of that name in `http`. */
export const findUpstream = (configuration: Configuration, name: string): Level | undefined =>
  namesOf(configuration).upstreams.get(name);

/** Returns the `map` that sets a variable; the name includes the dollar sign. */
export const findMap = (configuration: Configuration, variable: string): Directive | undefined =>
  namesOf(configuration).maps.get(variable);
