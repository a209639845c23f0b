import { renameSync, statSync, writeFileSync } from "node:fs";
import { unifiedDiff } from "../nginx/lint/diff.ts";
import type { Fixed } from "../nginx/lint/fix.ts";
import { InputError, readSource, type Source } from "../nginx/lint/inputs.ts";
import { isTakenByNginx } from "../nginx/lint/nginx-check.ts";
import { PatchedFiles } from "../nginx/lint/patch.ts";

/** A source and the result of fixing it. */
export interface FixOutcome {
  readonly source: Source;
  readonly fixed: Fixed;
}

/** Writes the fixed files or, in a dry run, prints their diff. Throws InputError if a file cannot be written. */
export function writeFixes(
  outcomes: readonly FixOutcome[],
  isDryRun: boolean,
): { readonly hasDiff: boolean } {
  for (const { source, fixed } of outcomes) {
    for (const { rule, at } of fixed.refused) {
      const { line } = at.file.place(at.start);
      process.stderr.write(
        `${at.file.path}:${line} ${rule}: not fixed, because that would change other values too\n`,
      );
    }
    if (isDryRun) printDiff(fixed);
    else if (fixed.files.length > 0) writeSource(source, fixed);
  }
  return { hasDiff: outcomes.some(({ fixed }) => fixed.files.length > 0) };
}

function printDiff({ files }: Fixed): void {
  for (const { path, before, after } of files) {
    process.stdout.write(
      Buffer.from(unifiedDiff(path, before.toString("latin1"), after.toString("latin1")), "latin1"),
    );
  }
}

function writeSource(source: Source, { files, fixed }: Fixed): void {
  const patches = new Map(files.map(({ path, after }) => [path, after]));
  const isTakenNow = isTakenByNginx(readSource(source));
  const patched = readSource(source, new PatchedFiles(source.files, patches));
  if (isTakenNow === true && isTakenByNginx(patched) === false) {
    throw new InputError("nginx -t refuses the fixed configuration, so nothing was written");
  }
  for (const { path, after } of files) writeWhole(path, after);
  const rules = [...new Set(fixed.map(({ rule }) => rule))].join(", ");
  process.stderr.write(`fixed ${files.map(({ path }) => path).join(", ")}: ${rules}\n`);
}

/** Replaces a file completely or not at all. */
function writeWhole(path: string, bytes: Buffer): void {
  try {
    const { mode } = statSync(path);
    const temporary = `${path}.sluice-${process.pid}`;
    writeFileSync(temporary, bytes, { mode });
    renameSync(temporary, path);
  } catch (error) {
    throw new InputError(`${path} cannot be written (${(error as NodeJS.ErrnoException).code})`);
  }
}
