import { formatProblem } from "../config/problem.ts";
import type { Config } from "../config/server-schema.ts";
import { warningsOf } from "../config/warnings.ts";
import type { Log } from "../observe/log.ts";

/** Logs the warnings of `sluice check`, for a configuration that is never checked. */
export function logWarnings(config: Config, log: Log): void {
  const warnings = warningsOf(config).map(formatProblem);
  if (warnings.length > 0) log.warn({ code: "config_warning", warnings }, "config has warnings");
}
