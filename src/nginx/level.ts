import type { Directive } from "./directive.ts";

/** The blocks that directives are judged in; `values` are blocks of pairs such as map's, `other` a third party's. */
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

/** What a block is, by the block it stands in. */
export const kindOfBlock = (outer: LevelKind, name: string): LevelKind =>
  BLOCKS[outer]?.[name] ?? (OF_VALUES.has(name) ? "values" : "other");

/** Directives of one name in one block that are looked at; every location below may look at all of them. */
const MAX_SAME = 1000;

/** One level of a configuration: a block with its includes resolved. */
export class Level {
  readonly kind: LevelKind;
  /** The directive that opens the block; undefined for the main level and those a fragment leaves out. */
  readonly directive: Directive | undefined;
  readonly outer: Level | undefined;
  readonly directives: Directive[] = [];
  readonly levels: Level[] = [];
  /** Includes that could not be read: what they would set here is not known. */
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

  /** The directives of a name that stand in this very block, in order: the first thousand. */
  own(name: string): readonly Directive[] {
    return this.#byName.get(name) ?? [];
  }

  /** The last directive of a name in this very block. */
  last(name: string): Directive | undefined {
    return this.own(name).at(-1);
  }

  /** This level and those around it, from the inside out. */
  *outward(): Generator<Level> {
    for (let level: Level | undefined = this; level !== undefined; level = level.outer) yield level;
  }

  /** This level and all inside it, in the order of the text. */
  *inward(): Generator<Level> {
    yield this;
    for (const level of this.levels) yield* level.inward();
  }

  /** The nearest level of a kind, this one included. */
  nearest(kind: LevelKind): Level | undefined {
    for (const level of this.outward()) if (level.kind === kind) return level;
    return undefined;
  }

  /** The location's words after `location`, such as `~* \.php$`; empty for other levels. */
  get pattern(): string {
    return this.kind === "location" ? (this.directive?.value ?? "") : "";
  }

  /** `location /api/`, `server site.conf:12`: how messages name the level. */
  get label(): string {
    if (this.directive === undefined) return this.kind;
    return this.kind === "location" ? `location ${this.pattern}` : `${this.kind} ${this.directive.at}`;
  }
}
