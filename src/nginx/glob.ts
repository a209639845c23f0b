/** Whether glob(3) treats a path of an `include` as a pattern; glob(3) has no braces. */
export const isGlob = (path: string): boolean => /[*?[]/.test(path);

/** Matches one name against one part of a pattern as fnmatch(3) does; no wildcard matches a leading dot. */
export function matchesGlob(name: string, pattern: string): boolean {
  if (name.startsWith(".") && !pattern.startsWith(".")) return false;
  return matchFrom(name, readParts(pattern));
}

type Part = "*" | ((character: string) => boolean);

function readParts(pattern: string): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    const closing = character === "[" ? pattern.indexOf("]", at + 2) : -1;
    if (character === "*") {
      if (parts.at(-1) !== "*") parts.push("*");
    } else if (character === "?") parts.push(() => true);
    else if (closing > 0) {
      parts.push(readSet(pattern.slice(at + 1, closing)));
      at = closing;
    } else {
      if (character === "\\") at += 1;
      const literal = pattern.charAt(at);
      parts.push((other) => other === literal);
    }
  }
  return parts;
}

function readSet(set: string): (character: string) => boolean {
  const isNegated = /^[!^]/.test(set);
  const text = isNegated ? set.slice(1) : set;
  const ranges: [string, string][] = [];
  for (let at = 0; at < text.length; at += 1) {
    const isRange = text.charAt(at + 1) === "-" && at + 2 < text.length;
    ranges.push([text.charAt(at), text.charAt(isRange ? at + 2 : at)]);
    if (isRange) at += 2;
  }
  return (character) => ranges.some(([from, to]) => character >= from && character <= to) !== isNegated;
}

/** Goes back only to the last star: the time is at most the name's length times the pattern's. */
function matchFrom(name: string, parts: readonly Part[]): boolean {
  let at = 0;
  let part = 0;
  let star = -1;
  let afterStar = 0;
  while (at < name.length) {
    const expected = parts[part];
    if (expected === "*") {
      star = part;
      afterStar = at;
      part += 1;
    } else if (expected?.(name.charAt(at))) {
      at += 1;
      part += 1;
    } else if (star >= 0) {
      afterStar += 1;
      at = afterStar;
      part = star + 1;
    } else return false;
  }
  while (parts[part] === "*") part += 1;
  return part === parts.length;
}
