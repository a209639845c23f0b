/** The number of unchanged lines around a change. */
const CONTEXT = 3;

/** A line that is kept, removed or added. */
interface Line {
  readonly mark: " " | "-" | "+";
  readonly text: string;
}

/** Returns a unified diff of two texts for `patch -p0`; empty if they are equal. */
export function unifiedDiff(path: string, before: string, after: string): string {
  if (before === after) return "";
  const lines = compare(splitLines(before), splitLines(after));
  const hunks = groupHunks(lines).map(({ from, to }) => formatHunk(lines, from, to));
  return `--- ${path}\n+++ ${path}\n${hunks.join("")}`;
}

/** Splits a text into lines with their line breaks, so that a missing last line break is a difference. */
const splitLines = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

/**
 * Compares line by line; at a difference it continues at the nearest pair of equal lines. Fixes add and replace
 * single lines, so the result is the shortest diff.
 */
function compare(before: readonly string[], after: readonly string[]): Line[] {
  const lines: Line[] = [];
  let a = 0;
  let b = 0;
  while (a < before.length || b < after.length) {
    if (a < before.length && before[a] === after[b]) {
      lines.push({ mark: " ", text: before[a] ?? "" });
      a += 1;
      b += 1;
      continue;
    }
    const [skipA, skipB] = nearestPair(before, after, a, b);
    for (const text of before.slice(a, a + skipA)) lines.push({ mark: "-", text });
    for (const text of after.slice(b, b + skipB)) lines.push({ mark: "+", text });
    a += skipA;
    b += skipB;
  }
  return lines;
}

/** The maximum number of lines of one change. */
const MAX_CHANGE = 1000;

function nearestPair(before: readonly string[], after: readonly string[], a: number, b: number) {
  for (let distance = 1; distance <= MAX_CHANGE; distance += 1) {
    for (let skipA = 0; skipA <= distance; skipA += 1) {
      const skipB = distance - skipA;
      const isSame = before[a + skipA] === after[b + skipB];
      if (isSame && a + skipA <= before.length && b + skipB <= after.length) return [skipA, skipB] as const;
    }
  }
  return [before.length - a, after.length - b] as const;
}

function groupHunks(lines: readonly Line[]): { from: number; to: number }[] {
  const hunks: { from: number; to: number }[] = [];
  lines.forEach(({ mark }, at) => {
    if (mark === " ") return;
    const last = hunks.at(-1);
    const to = Math.min(lines.length, at + CONTEXT + 1);
    if (last !== undefined && at - CONTEXT <= last.to) last.to = to;
    else hunks.push({ from: Math.max(0, at - CONTEXT), to });
  });
  return hunks;
}

function formatHunk(lines: readonly Line[], from: number, to: number): string {
  const count = (part: readonly Line[], mark: "-" | "+") =>
    part.filter((line) => line.mark === " " || line.mark === mark).length;
  const before = lines.slice(0, from);
  const hunk = lines.slice(from, to);
  const range = (mark: "-" | "+") => {
    const length = count(hunk, mark);
    return `${count(before, mark) + (length === 0 ? 0 : 1)},${length}`;
  };
  const text = hunk.map(({ mark, text: line }) =>
    line.endsWith("\n") ? `${mark}${line}` : `${mark}${line}\n\\ No newline at end of file\n`,
  );
  return `@@ -${range("-")} +${range("+")} @@\n${text.join("")}`;
}
