import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { visibleText } from "../base/visible-text.ts";
import type { ConfigFiles } from "../config/config-files.ts";
import { loadConfig } from "../config/load.ts";
import { suggestion } from "../config/nearest.ts";
import { formatProblem } from "../config/problem.ts";
import { decodeText, readTextFile } from "../config/text-file.ts";
import type { Configuration } from "../nginx/configuration.ts";
import { formatNote, type Note, spell } from "../nginx/import/notes.ts";
import { type Imported, type ImportedRoute, importRoutes, serverNames } from "../nginx/import/routes.ts";
import { findSources, InputError, readSource } from "../nginx/lint/inputs.ts";
import { installedVersion } from "../nginx/lint/nginx-check.ts";
import { assumedVersion } from "../nginx/lint/result.ts";
import { ASSUMED_VERSION } from "../nginx/version.ts";
import { DEFAULT_DIRECTORY, EXIT, UsageError } from "./command.ts";

import type { ParsedFlags } from "./flags.ts";

/** Imports the file that the flags of `sluice nginx import` name; returns the exit code. */
export function runImport(flags: ParsedFlags): number {
  const [path] = flags.words;
  if (path === undefined) throw new UsageError("nginx import needs a FILE, such as /etc/nginx/nginx.conf");
  try {
    return importFile(path, {
      server: flags.one("server"),
      directory: flags.one("out") ?? DEFAULT_DIRECTORY,
      isDryRun: flags.has("dry-run"),
      replaces: flags.has("force"),
    });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    process.stderr.write(`sluice nginx import: ${visibleText(error.message)}\n`);
    return EXIT.refused;
  }
}

interface ImportSettings {
  readonly server: string | undefined;
  readonly directory: string;
  readonly isDryRun: boolean;
  readonly replaces: boolean;
}

function importFile(path: string, settings: ImportSettings): number {
  const configurations = findSources({ paths: [path], root: undefined, mappings: [] }).map((source) =>
    readSource(source),
  );
  for (const configuration of configurations) checkRead(configuration);
  checkServer(settings.server, configurations);
  const version = installedVersion() ?? assumedVersion(configurations, ASSUMED_VERSION);
  const imported = configurations.map((each) => importRoutes(each, { version, server: settings.server }));
  report(imported);
  const files = new Map<string, string>();
  for (const route of imported.flatMap(({ routes }) => routes)) {
    files.set(join(settings.directory, "routes", `${route.name}.yaml`), routeText(route));
  }
  if (files.size === 0) {
    throw new InputError("nothing could be imported: no location proxies by HTTP or has a fixed response");
  }
  checkNames(files, settings);
  validate(files, settings.directory);
  if (settings.isDryRun) {
    for (const [name, text] of files) process.stdout.write(`# ${name}\n${text}\n`);
    return EXIT.done;
  }
  write(files, settings.directory);
  process.stderr.write(`wrote ${[...files.keys()].join(", ")}\n`);
  return EXIT.done;
}

/** Reports a missing include. Throws InputError for a problem with which nginx would not start. */
function checkRead({ problems }: Configuration): void {
  for (const { kind, message, file, offset } of problems) {
    const { line, column } = file.place(offset);
    const text = `${file.path}:${line}:${column}: ${message}`;
    if (kind === "syntax" || kind === "template") throw new InputError(text);
    process.stderr.write(`${visibleText(text)}: its content is not imported\n`);
  }
}

function checkServer(server: string | undefined, configurations: readonly Configuration[]): void {
  const names = configurations.flatMap(serverNames);
  if (server === undefined || names.includes(server)) return;
  const known = names.length === 0 ? "no server has a name" : `the names are ${names.join(", ")}`;
  throw new InputError(`unknown server_name ${server}${suggestion(server, names)}; ${known}`);
}

/** Prints every note once, in the order of the files. */
function report(imported: readonly Imported[]): void {
  const notes: Note[] = imported.flatMap(({ routes, left }) => [
    ...routes.flatMap((route) => route.notes),
    ...left,
  ]);
  const lines = new Set(
    notes
      .filter(({ isInFileAlone }) => isInFileAlone !== true)
      .toSorted((a, b) => (a.at.file === b.at.file ? a.at.start - b.at.start : 0))
      .map((note) => visibleText(formatNote(note)).replaceAll("\n", " ")),
  );
  for (const line of lines) process.stderr.write(`${line}\n`);
}

/** Throws InputError if a route file of that name exists. */
function checkNames(files: ReadonlyMap<string, string>, { replaces }: ImportSettings): void {
  const existing = [...files.keys()].filter((name) => existsSync(name));
  if (existing.length > 0 && !replaces) {
    throw new InputError(
      `${existing.join(", ")} exists, so nothing was written; use --force to replace it, or --out for another directory`,
    );
  }
}

/** Validates the directory as it would be with the new files. Throws InputError with every problem. */
function validate(files: ReadonlyMap<string, string>, directory: string): void {
  const loaded = loadConfig(directory, process.env, overlay(files, directory));
  if (!("problems" in loaded)) return;
  const problems = loaded.problems.map(formatProblem).join("\n");
  throw new InputError(`the routes are not valid, so nothing was written:\n${problems}`);
}

/** Returns the files on the disk, with the new files in place of those of the same name. */
function overlay(files: ReadonlyMap<string, string>, directory: string): ConfigFiles {
  const routes = join(directory, "routes");
  const own = new Map([...files].map(([name, text]) => [join(name), text]));
  const onDisk = (path: string) => (existsSync(path) ? readdirSync(path) : []);
  return {
    isOnDisk: true,
    names: (path) => {
      const added =
        join(path) === routes ? [...own.keys()].map((name) => name.slice(routes.length + 1)) : ["routes"];
      return [...new Set([...onDisk(path), ...added])];
    },
    read: (path) => {
      const text = own.get(join(path));
      return text === undefined ? readTextFile(path) : decodeText(Buffer.from(text));
    },
  };
}

/** Writes the files. Throws InputError if one cannot be written. */
function write(files: ReadonlyMap<string, string>, directory: string): void {
  try {
    mkdirSync(join(directory, "routes"), { recursive: true });
    for (const [name, text] of files) writeFileSync(name, text);
  } catch (error) {
    const { path = directory, code } = error as NodeJS.ErrnoException;
    throw new InputError(`${path} cannot be written (${code}); use --out for another directory`);
  }
}

/** Returns the text of a route file, with the notes as comments. */
function routeText({ route, from, notes }: ImportedRoute): string {
  const lines = [`from ${spell(from)}`, ...notes.map(formatNote)];
  const comments = lines.map((line) => `# nginx: ${visibleText(line).replaceAll("\n", " ")}\n`);
  return `${comments.join("")}${stringify(route, { lineWidth: 0 })}`;
}
