/**
 * Control characters, which a terminal interprets, and characters that reverse the direction of text.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds control characters
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const LONGEST = 200;

/** Makes outside text safe for a terminal: escapes control characters and keeps at most 200 characters. */
export function printable(text: string): string {
  const safe = text.slice(0, LONGEST).replace(UNSAFE, escaped);
  return text.length > LONGEST ? `${safe}…` : safe;
}

function escaped(character: string): string {
  const code = character.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
}
