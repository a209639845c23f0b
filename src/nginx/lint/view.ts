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

/** The families that buffer responses. */
const BUFFERING: ReadonlySet<Family> = new Set(["proxy", "fastcgi", "uwsgi", "scgi"]);

/** A proxied location for the rules: its effective values, its server and its target. */
export class View {
  readonly configuration: Configuration;
  readonly version: NginxVersion;
  readonly location: Level;
  readonly level: Level;
  readonly server: Level | undefined;
  readonly target: Target;
  readonly carries: ProxiedLocation["carries"];
  readonly why: string;
  /** The listener of sluice that the location proxies to; undefined for another backend. */
  readonly sluice: SluiceListener | undefined;
  /** The routes of sluice that this location reaches; undefined if they are not known. */
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

  /** Returns one of three severities, for a declared, likely or possible stream. */
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

  /** Returns the setting of the location's family: `buffering` means `proxy_buffering` beside `proxy_pass`. */
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

  /** Returns the last `add_header` that sets a field. */
  addedField(name: string): Directive | undefined {
    return this.all("add_header").directives.findLast(({ args }) => isField(args[0], name));
  }

  /** Returns the last `proxy_set_header` that sets a request field. */
  requestField(name: string): Directive | undefined {
    return this.all("proxy_set_header").directives.findLast(({ args }) => isField(args[0], name));
  }

  /** Whether nginx hides a field of the backend's response. */
  hides(field: string): boolean {
    const hidden = this.all(`${this.family}_hide_header`).directives;
    return hidden.some(({ args }) => isField(args[0], field));
  }

  get listening(): Listening | undefined {
    return this.server === undefined ? undefined : listeningOf(this.server, this.version);
  }

  /** Whether nginx ignores the backend's X-Accel-Buffering. */
  get ignoresAccelBuffering(): boolean {
    const ignored = this.all(`${this.family}_ignore_headers`).directives;
    return ignored.some(({ args }) => args.some((field) => isField(field, "X-Accel-Buffering")));
  }

  /** Whether nginx buffers the response; sluice's X-Accel-Buffering switches that off for event streams. */
  get isBuffered(): boolean {
    if (!BUFFERING.has(this.family)) return false;
    const { value, directive, isUncertain } = this.own("buffering");
    if (value !== "on" || (directive === undefined && isUncertain)) return false;
    return this.sluice === undefined || this.ignoresAccelBuffering;
  }

  /** Whether a list such as `gzip_types` contains a media type. */
  hasType(name: string, type: string): boolean {
    return this.setting(name).args.some((each) => each === "*" || each.toLowerCase() === type);
  }

  /** The longest heartbeat of the routes behind this location, in milliseconds. */
  get heartbeatMs(): number {
    const all = this.routes?.flatMap(({ heartbeatMs }) => heartbeatMs ?? []) ?? [];
    return all.length === 0 ? DEFAULT_HEARTBEAT_MS : Math.max(...all);
  }

  /** Returns the cause of a setting: `proxy_buffering on (default; nothing sets it in …)`. */
  explain(setting: Setting): string {
    return `${setting.name} ${setting.value} (${explain(setting, this.location)})`;
  }

  /** Marks a subject as reported, so that a more general rule does not report it again. */
  claim(subject: string): void {
    this.#claims.add(subject);
  }

  isClaimed(subject: string): boolean {
    return this.#claims.has(subject);
  }
}

/** Whether two field names are equal, ignoring case. */
export const isField = (name: string | undefined, other: string): boolean =>
  name?.toLowerCase() === other.toLowerCase();
