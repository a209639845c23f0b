/**
 * Characters that control a terminal or reorder the text in it: C0 except tab and line feed, DEL, C1 (U+009B begins a
 * control sequence like ESC [), the marks of bidirectional text (CVE-2021-42574), and the line separators.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the expression finds them
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Returns a text for a terminal or an editor, with such characters escaped like `\u009b`; JSON stays equivalent JSON.
 */
export function visibleText(text: string): string {
  return replaceUnsafe(text, spelled);
}

/** Returns a text with each such character replaced by the result of `replace` for its code. */
export function replaceUnsafe(text: string, replace: (code: number) => string): string {
  return text.replace(UNSAFE, (character) => replace(character.charCodeAt(0)));
}

/** Returns the JSON escape of a character code. */
export function spelled(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}
