/** Returns a text without the slashes at its end; the first `atLeast` characters are kept in any case. */
export function withoutFinalSlashes(text: string, atLeast = 0): string {
  let end = text.length;
  while (end > atLeast && text[end - 1] === "/") end--;
  return text.slice(0, end);
}
