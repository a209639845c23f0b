/**
 * Characters that a terminal obeys or that reorder what it shows: C0 but for tab and line feed, DEL, C1 (U+009B begins
 * a sequence as ESC [ does), the marks of bidirectional text (CVE-2021-42574), and the separators of lines.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A text for people's terminals and editors, in which such characters are spelled `\u009b`; JSON stays the same JSON. */
export function visibleText(text: string): string {
  return replaceUnsafe(text, spelled);
}

/** A text with each of them replaced by what `replace` makes of its code. */
export function replaceUnsafe(text: string, replace: (code: number) => string): string {
  return text.replace(UNSAFE, (character) => replace(character.charCodeAt(0)));
}

/** A character by its code, as JSON escapes it. */
export function spelled(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}
