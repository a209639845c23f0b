/** A text without the slashes at its end; its first `atLeast` characters stay whatever they are. */
export function withoutFinalSlashes(text: string, atLeast = 0): string {
  let end = text.length;
  while (end > atLeast && text[end - 1] === "/") end--;
  return text.slice(0, end);
}
