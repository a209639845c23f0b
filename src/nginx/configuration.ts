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

/** The names of a configuration, as every location may ask for them. */
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

/** The `upstream` block of a name, within http. */
export const findUpstream = (configuration: Configuration, name: string): Level | undefined =>
  namesOf(configuration).upstreams.get(name);

/** The `map` that sets a variable, which is named with its dollar sign. */
export const findMap = (configuration: Configuration, variable: string): Directive | undefined =>
  namesOf(configuration).maps.get(variable);
