import type { Configuration } from "../configuration.ts";
import type { Directive } from "../directive.ts";
import { effective, effectiveAll, effectiveFields } from "../effective.ts";
import type { Level } from "../level.ts";
import type { Target } from "../target.ts";
import type { NginxVersion } from "../version.ts";
import type { Notes } from "./notes.ts";

/** A location during its conversion to a route: its effective directives and its notes. */
export class Scope {
  readonly configuration: Configuration;
  readonly version: NginxVersion;
  readonly server: Level;
  readonly location: Level;
  readonly directive: Directive;
  readonly notes: Notes;

  constructor(
    configuration: Configuration,
    version: NginxVersion,
    server: Level,
    location: Level,
    directive: Directive,
    notes: Notes,
  ) {
    this.configuration = configuration;
    this.version = version;
    this.server = server;
    this.location = location;
    this.directive = directive;
    this.notes = notes;
  }

  /** Returns the directive that sets a value here; undefined for nginx's default. */
  set(name: string): Directive | undefined {
    return effective(this.location, name, this.version).directive;
  }

  /** Returns the directives of a name that are effective here together. */
  all(name: string): readonly Directive[] {
    if (name === "add_header") return effectiveFields(this.location, name, this.version).directives;
    return effectiveAll(this.location, name).directives;
  }

  /** Returns the `if` blocks of a level. */
  ifs(level: Level = this.location): readonly Level[] {
    return level.levels.filter(({ kind }) => kind === "if");
  }
}

/** A proxied location. */
export interface Proxied {
  readonly scope: Scope;
  readonly target: Target;
}

/** Whether a value contains variables of nginx. */
export const hasVariable = (value: string): boolean => value.includes("$");
