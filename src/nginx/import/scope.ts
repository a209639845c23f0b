import type { Configuration } from "../configuration.ts";
import type { Directive } from "../directive.ts";
import { effective, effectiveAll, effectiveFields } from "../effective.ts";
import type { Level } from "../level.ts";
import type { Target } from "../target.ts";
import type { NginxVersion } from "../version.ts";
import type { Notes } from "./notes.ts";

/** A location on its way to a route: what holds in it, and what is to be said of it. */
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

  /** The directive that sets a value here; undefined where nginx's default holds. */
  set(name: string): Directive | undefined {
    return effective(this.location, name, this.version).directive;
  }

  /** The directives of a name that hold here together. */
  all(name: string): readonly Directive[] {
    if (name === "add_header") return effectiveFields(this.location, name, this.version).directives;
    return effectiveAll(this.location, name).directives;
  }

  /** The `if` blocks of the location, or of the server. */
  ifs(level: Level = this.location): readonly Level[] {
    return level.levels.filter(({ kind }) => kind === "if");
  }
}

/** A location that proxies by HTTP. */
export interface Proxied {
  readonly scope: Scope;
  readonly target: Target;
}

/** Whether nginx puts a value together for each request. */
export const hasVariable = (value: string): boolean => value.includes("$");
