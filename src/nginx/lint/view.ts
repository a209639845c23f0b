import type { Configuration } from "../configuration.ts";
import type { Directive } from "../directive.ts";
import {
  effective,
  effectiveAll,
  effectiveFields,
  explain,
  type Setting,
  type Settings,
} from "../effective.ts";
import type { Level } from "../level.ts";
import { type Listening, listeningOf } from "../listen.ts";
import type { ProxiedLocation } from "../proxied.ts";
import type { Family, Target } from "../target.ts";
import type { NginxVersion } from "../version.ts";
import type { Severity } from "./finding.ts";
import { DEFAULT_HEARTBEAT_MS, type SluiceListener, type SluiceRoute } from "./options.ts";

/** The families that have a buffer for answers. */
const BUFFERING: ReadonlySet<Family> = new Set(["proxy", "fastcgi", "uwsgi", "scgi"]);

/** A proxied location as rules look at it: its values, and what is in front of and behind it. */
export class View {
  readonly configuration: Configuration;
  readonly version: NginxVersion;
  readonly location: Level;
  readonly level: Level;
  readonly server: Level | undefined;
  readonly target: Target;
  readonly carries: ProxiedLocation["carries"];
  readonly why: string;
  /** The listener of sluice that the location proxies to. */
  readonly sluice: SluiceListener | undefined;
  /** The routes of sluice that requests reach through this location; undefined when they are not known. */
  readonly routes: readonly SluiceRoute[] | undefined;
  readonly #settings = new Map<string, Setting>();
  readonly #all = new Map<string, Settings>();
  readonly #claims = new Set<string>();

  constructor(
    configuration: Configuration,
    version: NginxVersion,
    proxied: ProxiedLocation,
    sluice: SluiceListener | undefined,
    routes: readonly SluiceRoute[] | undefined,
  ) {
    this.configuration = configuration;
    this.version = version;
    this.location = proxied.location;
    this.level = proxied.level;
    this.server = proxied.server;
    this.target = proxied.target;
    this.carries = proxied.carries;
    this.why = proxied.why;
    this.sluice = sluice;
    this.routes = routes;
  }

  get family(): Family {
    return this.target.family;
  }

  get isStream(): boolean {
    return this.carries === "declared" || this.carries === "likely";
  }

  /** `declared`, `likely` or `possible` chooses among three severities. */
  severity(declared: Severity, likely: Severity, possible: Severity): Severity {
    if (this.carries === "declared") return declared;
    return this.carries === "likely" ? likely : possible;
  }

  setting(name: string): Setting {
    const known = this.#settings.get(name);
    if (known !== undefined) return known;
    const setting = effective(this.level, name, this.version);
    this.#settings.set(name, setting);
    return setting;
  }

  /** The value of a directive of the location's family: `buffering` is `proxy_buffering` beside `proxy_pass`. */
  own(suffix: string): Setting {
    return this.setting(`${this.family}_${suffix}`);
  }

  all(name: string): Settings {
    const known = this.#all.get(name);
    if (known !== undefined) return known;
    const all =
      name === "add_header"
        ? effectiveFields(this.level, name, this.version)
        : effectiveAll(this.level, name);
    this.#all.set(name, all);
    return all;
  }

  /** The `add_header` that sets a field; the last one where there are several. */
  addedField(name: string): Directive | undefined {
    return this.all("add_header").directives.findLast(({ args }) => isField(args[0], name));
  }

  /** The `proxy_set_header` that sets a field for the backend. */
  requestField(name: string): Directive | undefined {
    return this.all("proxy_set_header").directives.findLast(({ args }) => isField(args[0], name));
  }

  /** Whether a field of the backend's answer is taken out. */
  hides(field: string): boolean {
    const hidden = this.all(`${this.family}_hide_header`).directives;
    return hidden.some(({ args }) => isField(args[0], field));
  }

  get listening(): Listening | undefined {
    return this.server === undefined ? undefined : listeningOf(this.server, this.version);
  }

  /** Whether nginx passes the backend's X-Accel-Buffering by unread. */
  get ignoresAccelBuffering(): boolean {
    const ignored = this.all(`${this.family}_ignore_headers`).directives;
    return ignored.some(({ args }) => args.some((field) => isField(field, "X-Accel-Buffering")));
  }

  /** Whether the answer goes through the buffer; sluice's header switches it off for event streams. */
  get isBuffered(): boolean {
    if (!BUFFERING.has(this.family)) return false;
    const { value, directive, isUncertain } = this.own("buffering");
    if (value !== "on" || (directive === undefined && isUncertain)) return false;
    return this.sluice === undefined || this.ignoresAccelBuffering;
  }

  /** Whether a media type is in a list such as `gzip_types`. */
  hasType(name: string, type: string): boolean {
    return this.setting(name).args.some((each) => each === "*" || each.toLowerCase() === type);
  }

  /** The longest heartbeat of the routes behind this location, in milliseconds. */
  get heartbeatMs(): number {
    const all = this.routes?.flatMap(({ heartbeatMs }) => heartbeatMs ?? []) ?? [];
    return all.length === 0 ? DEFAULT_HEARTBEAT_MS : Math.max(...all);
  }

  /** `proxy_buffering on (default; nothing sets it in …)`. */
  explain(setting: Setting): string {
    return `${setting.name} ${setting.value} (${explain(setting, this.location)})`;
  }

  /** Notes that one rule has said what another, more general one would say again. */
  claim(subject: string): void {
    this.#claims.add(subject);
  }

  isClaimed(subject: string): boolean {
    return this.#claims.has(subject);
  }
}

/** Field names are compared without case. */
export const isField = (name: string | undefined, other: string): boolean =>
  name?.toLowerCase() === other.toLowerCase();
