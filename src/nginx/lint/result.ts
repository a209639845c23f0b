import type { Configuration } from "../configuration.ts";
import { isAtLeast, type NginxVersion } from "../version.ts";
import type { Finding } from "./finding.ts";
import { Lint } from "./lint.ts";
import type { LintOptions } from "./options.ts";
import { neededVersion } from "./rules/structure.ts";
import { RULES, STRUCTURE_RULES } from "./rules.ts";
import type { View } from "./view.ts";

/** The findings of one configuration. */
export interface LintResult {
  readonly configuration: Configuration;
  readonly findings: readonly Finding[];
  readonly views: readonly View[];
  /** Whether the configuration has a syntax error: then only the structural rules have run. */
  readonly isBroken: boolean;
}

/** Runs the rules over a configuration. */
export function lint(configuration: Configuration, options: LintOptions): LintResult {
  const isBroken = configuration.problems.some(({ kind }) => kind === "syntax" || kind === "template");
  const run = new Lint(configuration, options);
  for (const rule of isBroken ? STRUCTURE_RULES : RULES) if (!run.isOff(rule)) rule.check(run);
  return {
    configuration,
    findings: run.findings(),
    views: run.views,
    isBroken,
  };
}

/**
 * Returns the version to assume without an nginx on the PATH: `least`, or the newest that a directive needs,
 * because the configuration runs on such a version.
 */
export function assumedVersion(configurations: readonly Configuration[], least: NginxVersion): NginxVersion {
  let version = least;
  for (const { main } of configurations) {
    for (const level of main.inward()) {
      for (const directive of level.directives) {
        const needed = neededVersion(directive, level.kind);
        if (needed !== undefined && !isAtLeast(version, needed)) version = needed;
      }
    }
  }
  return version;
}
