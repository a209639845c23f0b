import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { version } from "../base/version.ts";
import { suggestion } from "../config/nearest.ts";
import type { Configuration } from "../nginx/configuration.ts";
import { DiskFiles } from "../nginx/files.ts";
import { type Finding, isAsBadAs, SEVERITIES, type Severity } from "../nginx/lint/finding.ts";
import { fixSource } from "../nginx/lint/fix.ts";
import { countFindings, formatText } from "../nginx/lint/format-text.ts";
import { findSources, InputError, readSource, type Source } from "../nginx/lint/inputs.ts";
import { installedVersion } from "../nginx/lint/nginx-check.ts";
import type { LintOptions, SluiceFacts } from "../nginx/lint/options.ts";
import { assumedVersion, type LintResult, lint } from "../nginx/lint/result.ts";
import { RULES } from "../nginx/lint/rules.ts";
import { parseTime } from "../nginx/units.ts";
import { ASSUMED_VERSION, formatVersion, type NginxVersion, parseVersion } from "../nginx/version.ts";
import { type Command, EXIT, UsageError } from "./command.ts";
import { type ParsedFlags, parseFlags } from "./flags.ts";
import { type FixOutcome, writeFixes } from "./nginx-fix.ts";

const FORMATS = ["text", "json", "sarif", "github"] as const;
type Format = (typeof FORMATS)[number];
const DEFAULT_PATH = "/etc/nginx/nginx.conf";
/** Exit code for findings. */
const FOUND = 1;

/** `sluice nginx lint`: finds settings that delay, cut or change event streams. */
export const nginxLint: Command = {
  help: `Usage: sluice nginx lint [PATH...] [flags]

Reads nginx configurations (files, directories, or - for the output of
nginx -T) and reports settings that delay, cut or change event streams.
Without a path: ${DEFAULT_PATH}. Nothing is sent anywhere.

  --root DIR          the directory of relative includes (the main file's)
  --map FROM=TO       read files below FROM from TO instead, such as
                      /etc/nginx=./etc; may be repeated
  --config DIR        sluice's configuration: locations that proxy to it are
                      checked against its routes and listeners
  --sluice HOST:PORT  a sluice without its configuration; may be repeated
  --stream PATH       a path that carries streams; may be repeated
  --heartbeat TIME    how often the backends send something (15s)
  --nginx VERSION     the nginx version (that on the PATH, else 1.22 or newer)
  --only RULE,...     check only these rules
  --off RULE,...      do not check these rules
  --fail-on LEVEL     exit with 1 from this level on: error, warning or info
                      (warning)
  --all               also report on locations that may carry streams
  --fix               fix the files where possible
  --dry-run           with --fix: print a unified diff and write nothing
  --format FORMAT     text, json, sarif or github

A comment "# sluice-ignore: RULE" turns a rule off for the directive in its
line; in a line of its own, for the next directive. For a block, it covers all
of the block.

Exit codes: 0 no findings, 1 findings, 2 wrong usage, or a file that cannot be
read or that nginx would refuse.
`,
  async run(args) {
    const flags = parseFlags(args, LINT_FLAGS, MAX_PATHS);
    try {
      return await run(flags);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      process.stderr.write(`sluice nginx lint: ${error.message}\n`);
      return EXIT.refused;
    }
  },
};

const MAX_PATHS = 10_000;
export const LINT_FLAGS = {
  root: "one",
  map: "many",
  config: "one",
  sluice: "many",
  stream: "many",
  heartbeat: "one",
  nginx: "one",
  only: "many",
  off: "many",
  "fail-on": "one",
  all: "none",
  fix: "none",
  "dry-run": "none",
  format: "one",
} as const;

/** The output format, and which findings count. */
interface Output {
  readonly format: Format;
  readonly failOn: Severity;
  readonly showsPossible: boolean;
}

async function run(flags: ParsedFlags): Promise<number> {
  const output: Output = {
    format: oneOf(flags, "format", FORMATS, "text"),
    failOn: oneOf(flags, "fail-on", SEVERITIES, "warning"),
    showsPossible: flags.has("all"),
  };
  if (flags.has("dry-run") && !flags.has("fix")) throw new UsageError("--dry-run needs --fix");
  const paths = flags.words.length === 0 ? [DEFAULT_PATH] : flags.words;
  const mappings = flags.many("map").map(readMapping);
  const sources = findSources({ paths, root: flags.one("root"), mappings });
  const configurations = sources.map((source) => readSource(source));
  const options = await readOptions(flags, configurations);
  if (flags.has("fix")) {
    const files = new DiskFiles(mappings);
    const shown = paths.map((path) => files.shownPath(path));
    return fix(sources, shown, options, output, flags.has("dry-run"));
  }
  const results = configurations.map((configuration) => lint(configuration, options));
  return report(results, options, output);
}

/** Returns the options that findings depend on. Throws UsageError. */
export async function readOptions(
  flags: ParsedFlags,
  configurations: readonly Configuration[],
): Promise<LintOptions> {
  const heartbeat = flags.one("heartbeat");
  const heartbeatMs = heartbeat === undefined ? undefined : parseTime(heartbeat);
  if (heartbeat !== undefined && heartbeatMs === undefined) {
    throw new UsageError("--heartbeat: expected a time such as 15s");
  }
  const only = flags.many("only").flatMap(readRules);
  const streams = flags.many("stream");
  if (streams.some((path) => !path.startsWith("/")))
    throw new UsageError("--stream: expected a path such as /events");
  return {
    version: versionOf(flags, configurations),
    sluice: await readSluice(flags),
    streams,
    heartbeatMs,
    only: only.length === 0 ? undefined : new Set(only),
    off: new Set(flags.many("off").flatMap(readRules)),
  };
}

async function readSluice(flags: ParsedFlags): Promise<SluiceFacts> {
  const named = flags.many("sluice").map((address) => {
    if (!/^(?:unix:\/.+|[^/\s]+:\d{1,5})$/.test(address)) {
      throw new UsageError(`--sluice: expected HOST:PORT or unix:/PATH, not ${address}`);
    }
    const isUnix = address.startsWith("unix:");
    return {
      address: isUnix ? address : address.toLowerCase(),
      isWildcard: false,
      hasProxyProtocol: false,
      hasTls: false,
    };
  });
  const directory = flags.one("config");
  if (directory === undefined) return { listeners: named, routes: undefined, trustedProxies: undefined };
  // Loaded here, because only --config needs the gateway's configuration.
  const { readFacts } = await import("./nginx-facts.ts");
  const facts = readFacts(directory);
  return { ...facts, listeners: [...facts.listeners, ...named] };
}

function versionOf(flags: ParsedFlags, configurations: readonly Configuration[]): NginxVersion {
  const named = flags.one("nginx");
  if (named === undefined) return installedVersion() ?? assumedVersion(configurations, ASSUMED_VERSION);
  const version = parseVersion(named);
  if (version === undefined) throw new UsageError(`--nginx: expected a version such as 1.26, not ${named}`);
  return version;
}

function readRules(list: string): string[] {
  const ids = RULES.map(({ id }) => id);
  const names = list.split(",").filter((name) => name !== "");
  for (const name of names) {
    if (!ids.includes(name)) throw new UsageError(`unknown rule ${name}${suggestion(name, ids)}`);
  }
  return names;
}

function readMapping(text: string) {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) throw new UsageError(`--map: expected FROM=TO, not ${text}`);
  const trim = (path: string) => path.replace(/(?<=.)\/+$/, "");
  return { from: trim(text.slice(0, at)), to: trim(text.slice(at + 1)) };
}

function oneOf<T extends string>(flags: ParsedFlags, name: string, known: readonly T[], initial: T): T {
  const value = flags.one(name);
  if (value === undefined) return initial;
  const found = known.find((each) => each === value);
  if (found === undefined) throw new UsageError(`--${name}: expected ${known.join(", ")}, not ${value}`);
  return found;
}

async function report(results: readonly LintResult[], options: LintOptions, output: Output): Promise<number> {
  const all = results.flatMap(({ findings }) => findings);
  const findings = output.showsPossible ? all : all.filter(({ isPossible }) => !isPossible);
  const hidden = all.length - findings.length;
  process.stdout.write(await format(results, findings, hidden, options, output));
  if (output.format === "text") printSummary(findings, hidden, options);
  return exitCode(results, findings, output.failOn);
}

function exitCode(results: readonly LintResult[], findings: readonly Finding[], failOn: Severity): number {
  if (results.some(({ isBroken }) => isBroken)) return EXIT.refused;
  return findings.some(({ severity }) => isAsBadAs(severity, failOn)) ? FOUND : EXIT.done;
}

async function format(
  results: readonly LintResult[],
  findings: readonly Finding[],
  hidden: number,
  options: LintOptions,
  output: Output,
): Promise<string> {
  if (output.format === "text") return formatText(findings, process.stdout.isTTY === true);
  if (output.format === "github") {
    return (await import("../nginx/lint/format-github.ts")).formatGithub(findings);
  }
  if (output.format === "sarif") {
    return (await import("../nginx/lint/format-sarif.ts")).formatSarif(findings, version());
  }
  const { formatJson } = await import("../nginx/lint/format-json.ts");
  return formatJson({ version: version(), nginx: formatVersion(options.version), results, findings, hidden });
}

/** Prints a summary; without findings only to a terminal, because a script expects no output then. */
function printSummary(findings: readonly Finding[], hidden: number, options: LintOptions): void {
  if (findings.length === 0 && process.stderr.isTTY !== true) return;
  const found = findings.length === 0 ? "no findings" : countFindings(findings);
  const more = hidden === 0 ? "" : `; ${hidden} more on locations that may carry streams, shown by --all`;
  process.stderr.write(`${found}${more} (nginx ${formatVersion(options.version)})\n`);
}

async function fix(
  sources: readonly Source[],
  paths: readonly string[],
  options: LintOptions,
  output: Output,
  isDryRun: boolean,
): Promise<number> {
  const outcomes = sources.map((source): FixOutcome => {
    const scope = { mayWrite: (file: string) => isBelow(file, paths), fixesPossible: output.showsPossible };
    return { source, fixed: fixSource(source, options, scope) };
  });
  const left = writeFixes(outcomes, isDryRun);
  if (isDryRun) return left.hasDiff ? FOUND : EXIT.done;
  return report(
    sources.map((source) => lint(readSource(source), options)),
    options,
    output,
  );
}

/** Whether a file is one of the paths, or below the directory of one; other files, such as packages', are not changed. */
function isBelow(file: string, paths: readonly string[]): boolean {
  const absolute = resolve(file);
  return paths.some((path) => {
    const whole = resolve(path);
    const directory = statSync(whole, { throwIfNoEntry: false })?.isDirectory() ? whole : dirname(whole);
    return absolute.startsWith(directory === "/" ? "/" : `${directory}/`);
  });
}
