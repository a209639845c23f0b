import type { Configuration } from "../configuration.ts";
import { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import { chooseLocation, normalizePath } from "../locations.ts";
import { proxiedLocations } from "../proxied.ts";
import type { Target } from "../target.ts";
import type { NginxVersion } from "../version.ts";
import { type Edit, type Finding, isAsBadAs, type Report } from "./finding.ts";
import { Ignored } from "./ignore.ts";
import type { LintOptions, SluiceRoute } from "./options.ts";
import { sluiceBehind } from "./sluice.ts";
import { View } from "./view.ts";

/** The maximum number of findings of one run: more would only repeat themselves. */
const MAX_FINDINGS = 10_000;

/** The part of a rule that a finding shows. */
export interface RuleFacts {
  readonly id: string;
  /** The measured facts behind the rule; docs/nginx.md lists them. */
  readonly facts: readonly string[];
}

/** One run of the rules over a configuration, with its findings. */
export class Lint {
  readonly configuration: Configuration;
  readonly options: LintOptions;
  readonly views: readonly View[];
  readonly #byLevel: ReadonlyMap<Level, View>;
  readonly #ignored: Ignored;
  readonly #findings = new Map<string, Gathered>();

  constructor(configuration: Configuration, options: LintOptions) {
    this.configuration = configuration;
    this.options = options;
    this.#ignored = new Ignored(configuration);
    this.views = viewsOf(configuration, options);
    this.#byLevel = new Map(this.views.map((view) => [view.level, view]));
  }

  get version(): NginxVersion {
    return this.options.version;
  }

  /** Returns the view of a proxied location; undefined for any other level. */
  viewOf(level: Level | undefined): View | undefined {
    return level === undefined ? undefined : this.#byLevel.get(level);
  }

  /** Whether the options switch a rule off. */
  isOff({ id }: RuleFacts): boolean {
    const { only, off } = this.options;
    return off.has(id) || only?.has(id) === false;
  }

  /** Returns the findings in file order. */
  findings(): readonly Finding[] {
    return inFileOrder([...this.#findings.values()].map((gathered) => gathered.toFinding()));
  }

  /**
   * Adds a finding, unless a comment ignores it. Findings of one rule at one place become one finding with the
   * highest severity and all locations. Returns whether the finding counts.
   */
  report(rule: RuleFacts, report: Report): boolean {
    return this.#take(rule, report, false);
  }

  /** Adds a finding about a stream; if the location only possibly carries streams, the severity is `info`. */
  reportStream(rule: RuleFacts, view: View, report: Report): boolean {
    const isPossible = view.carries === "possible";
    const severity = isPossible ? "info" : report.severity;
    return this.#take(rule, { ...report, severity, location: view.location }, isPossible);
  }

  #take(rule: RuleFacts, report: Report, isPossible: boolean): boolean {
    const { at, location } = report;
    if (this.#ignored.has(rule.id, at) || this.#ignored.hasLevel(rule.id, location)) return false;
    const key = `${rule.id} ${at.start} ${at.file.path}`;
    const gathered = this.#findings.get(key);
    if (gathered !== undefined) gathered.add(report, isPossible);
    else if (this.#findings.size < MAX_FINDINGS) {
      this.#findings.set(key, new Gathered(rule, report, isPossible));
    }
    return true;
  }
}

/** The reports of one rule at one place. */
class Gathered {
  #worst: Report;
  #isPossible: boolean;
  readonly #rule: RuleFacts;
  readonly #locations = new Set<string>();
  readonly #edits = new Map<string, Edit>();
  readonly #changes = new Set<string>();

  constructor(rule: RuleFacts, report: Report, isPossible: boolean) {
    this.#rule = rule;
    this.#worst = report;
    this.#isPossible = isPossible;
    this.add(report, isPossible);
  }

  /** Adds a report. Each location may need a line of its own; equal edits become one. */
  add(report: Report, isPossible: boolean): void {
    const isWorse = !isAsBadAs(this.#worst.severity, report.severity) || (this.#isPossible && !isPossible);
    if (isWorse) this.#worst = report;
    this.#isPossible &&= isPossible;
    if (report.location !== undefined) this.#locations.add(report.location.pattern);
    for (const edit of report.fix?.edits ?? []) {
      this.#edits.set(`${edit.file.path} ${edit.from} ${edit.to} ${edit.text}`, edit);
    }
    for (const name of report.fix?.changes ?? []) this.#changes.add(name);
  }

  toFinding(): Finding {
    const { severity, at, message, remedy, cause } = this.#worst;
    // For a directive with a block the range is its first line.
    const end = at instanceof Directive ? (at.opened ?? at.end) : at.end;
    const edits = [...this.#edits.values()];
    return {
      rule: this.#rule.id,
      severity,
      at: { file: at.file, start: at.start, end },
      locations: [...this.#locations],
      message,
      cause,
      remedy,
      facts: this.#rule.facts,
      fix: edits.length === 0 ? undefined : { edits, changes: [...this.#changes] },
      isPossible: this.#isPossible,
    };
  }
}

function inFileOrder(findings: readonly Finding[]): Finding[] {
  return findings.toSorted((a, b) => {
    if (a.at.file.path !== b.at.file.path) return a.at.file.path < b.at.file.path ? -1 : 1;
    return a.at.start - b.at.start || (a.rule < b.rule ? -1 : 1);
  });
}

function viewsOf(configuration: Configuration, { streams, sluice, version }: LintOptions): View[] {
  const named = new Set(streams.flatMap((path) => locationsOf(configuration, path)));
  const byLocation = new Map<Level, SluiceRoute[]>();
  for (const route of sluice.routes ?? []) {
    for (const location of locationsOf(configuration, route.path.replace(/\/\*$/, "/"))) {
      const routes = byLocation.get(location);
      if (routes === undefined) byLocation.set(location, [route]);
      else routes.push(route);
    }
  }
  const isStream = (location: Level, target: Target) =>
    named.has(location) || sluiceBehind(target, sluice) !== undefined;
  return proxiedLocations(configuration, isStream).map((proxied) => {
    const listener = sluiceBehind(proxied.target, sluice);
    const routes = sluice.routes === undefined ? undefined : (byLocation.get(proxied.location) ?? []);
    return new View(configuration, version, proxied, listener, listener === undefined ? undefined : routes);
  });
}

/** Returns the location that each server chooses for a path. */
function locationsOf({ main }: Configuration, path: string): Level[] {
  const found: Level[] = [];
  for (const level of main.inward()) {
    const choice = level.kind === "server" ? chooseLocation(level, normalizePath(path)) : undefined;
    if (choice !== undefined) found.push(choice.location);
  }
  return found;
}
