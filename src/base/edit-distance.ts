/**
 * The edit distance of two words (Levenshtein): how many letters have to be put in, taken out or changed to make
 * one of the other. Takes the product of their lengths in steps.
 */
export function editDistance(a: string, b: string): number {
  // Distances of the part of `a` so far to each beginning of `b`.
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
