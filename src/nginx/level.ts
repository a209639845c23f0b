import type { Directive } from "./directive.ts";

/** The kinds of blocks; `values` is a block of pairs such as `map`, `other` that of a third-party module. */
export type LevelKind =
  | "main"
  | "events"
  | "http"
  | "server"
  | "location"
  | "if"
  | "limit_except"
  | "upstream"
  | "stream"
  | "stream server"
  | "stream upstream"
  | "mail"
  | "mail server"
  | "values"
  | "other";

const BLOCKS: Readonly<Partial<Record<LevelKind, Readonly<Record<string, LevelKind>>>>> = {
  main: { events: "events", http: "http", stream: "stream", mail: "mail" },
  http: { server: "server", upstream: "upstream" },
  server: { location: "location", if: "if" },
  location: { location: "location", if: "if", limit_except: "limit_except" },
  stream: { server: "stream server", upstream: "stream upstream" },
  mail: { server: "mail server" },
};
const OF_VALUES: ReadonlySet<string> = new Set(["map", "geo", "types", "split_clients", "charset_map"]);

/** Returns the kind of a block; it depends on the outer block. */
export const kindOfBlock = (outer: LevelKind, name: string): LevelKind =>
  BLOCKS[outer]?.[name] ?? (OF_VALUES.has(name) ? "values" : "other");

/** The maximum number of directives of one name that one block keeps: every inner location may read all of them. */
const MAX_SAME = 1000;

/** One level of a configuration: a block with its includes resolved. */
export class Level {
  readonly kind: LevelKind;
  /** The directive that opens the block; undefined for the main level and for levels that a fragment leaves out. */
  readonly directive: Directive | undefined;
  readonly outer: Level | undefined;
  readonly directives: Directive[] = [];
  readonly levels: Level[] = [];
  /** Includes that could not be read: their directives are not known. */
  readonly unread: Directive[] = [];
  readonly #byName = new Map<string, Directive[]>();

  constructor(kind: LevelKind, outer?: Level, directive?: Directive) {
    this.kind = kind;
    this.outer = outer;
    this.directive = directive;
    outer?.levels.push(this);
  }

  add(directive: Directive): void {
    this.directives.push(directive);
    const same = this.#byName.get(directive.name);
    if (same === undefined) this.#byName.set(directive.name, [directive]);
    else if (same.length < MAX_SAME) same.push(directive);
  }

  /** Returns the directives of a name in this block itself, in order; at most the first `MAX_SAME`. */
  own(name: string): readonly Directive[] {
    return this.#byName.get(name) ?? [];
  }

  /** Returns the last directive of a name in this block itself. */
  last(name: string): Directive | undefined {
    return this.own(name).at(-1);
  }

  /** Yields this level and its outer levels, innermost first. */
  *outward(): Generator<Level> {
    for (let level: Level | undefined = this; level !== undefined; level = level.outer) yield level;
  }

  /** Yields this level and all inner levels in file order. */
  *inward(): Generator<Level> {
    yield this;
    for (const level of this.levels) yield* level.inward();
  }

  /** Returns the innermost level of a kind, starting with this level. */
  nearest(kind: LevelKind): Level | undefined {
    for (const level of this.outward()) if (level.kind === kind) return level;
    return undefined;
  }

  /** The arguments of `location`, such as `~* \.php$`; empty for other levels. */
  get pattern(): string {
    return this.kind === "location" ? (this.directive?.value ?? "") : "";
  }

  /** The level's name in messages: `location /api/`, `server site.conf:12`. */
  get label(): string {
    if (this.directive === undefined) return this.kind;
    return this.kind === "location" ? `location ${this.pattern}` : `${this.kind} ${this.directive.at}`;
  }
}
