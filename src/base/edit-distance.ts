/**
 * Returns the edit distance of two words (Levenshtein): the number of letters to insert, delete or change to turn one
 * into the other. The time grows with the product of their lengths.
 */
export function editDistance(a: string, b: string): number {
  // The distances from the part of `a` read so far to each prefix of `b`.
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
