import type { ConfigurationFiles } from "../files.ts";
import type { SourceFile } from "../source-file.ts";
import type { Edit, Finding, Fix } from "./finding.ts";

/** Configuration files with changed contents in memory, by the path that messages show. */
export class PatchedFiles implements ConfigurationFiles {
  readonly isWritable: boolean;
  readonly #files: ConfigurationFiles;
  readonly #patches: ReadonlyMap<string, Buffer>;

  constructor(files: ConfigurationFiles, patches: ReadonlyMap<string, Buffer>) {
    this.isWritable = files.isWritable;
    this.#files = files;
    this.#patches = patches;
  }

  read(path: string, maxBytes: number): Buffer | string {
    return this.#patches.get(this.shownPath(path)) ?? this.#files.read(path, maxBytes);
  }

  glob(pattern: string): readonly string[] {
    return this.#files.glob(pattern);
  }

  shownPath(path: string): string {
    return this.#files.shownPath(path);
  }
}

/** A finding with a fix. */
export type Fixable = Finding & { readonly fix: Fix };

export const isFixable = (finding: Finding): finding is Fixable =>
  finding.fix !== undefined && finding.fix.edits.length > 0;

/** Returns the findings whose edits do not overlap; the others wait for the next pass. */
export function chooseApart(findings: readonly Fixable[]): Fixable[] {
  const taken: Edit[] = [];
  return findings.filter(({ fix }) => {
    if (fix.edits.some((edit) => taken.some((other) => meets(edit, other)))) return false;
    taken.push(...fix.edits);
    return true;
  });
}

/** Whether two edits overlap; two insertions at one place do not, because both lines are added. */
function meets(a: Edit, b: Edit): boolean {
  if (a.file !== b.file) return false;
  if (a.from === a.to && b.from === b.to) return false;
  return a.from <= b.to && b.from <= a.to;
}

/** Returns the new bytes of the files that the edits change. */
export function applyEdits(edits: readonly Edit[]): Map<SourceFile, Buffer> {
  const byFile = new Map<SourceFile, Edit[]>();
  for (const edit of edits) byFile.set(edit.file, [...(byFile.get(edit.file) ?? []), edit]);
  return new Map([...byFile].map(([file, list]) => [file, file.encode(splice(file.text, list))]));
}

function splice(text: string, edits: readonly Edit[]): string {
  const seen = new Set<string>();
  const unique = edits.filter(({ from, to, text: inserted }) => {
    const key = `${from} ${to} ${inserted}`;
    return !seen.has(key) && seen.add(key);
  });
  let at = 0;
  let out = "";
  // The sort is stable: lines added at one place keep the order of their findings.
  for (const { from, to, text: inserted } of unique.toSorted((a, b) => a.from - b.from)) {
    out += text.slice(at, from) + inserted;
    at = to;
  }
  return out + text.slice(at);
}
