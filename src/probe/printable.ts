/**
 * Control characters, which a terminal may obey, and the characters that turn the direction of text around. Only tab
 * and line feed of our own text are not in outside data: a value that goes into one line has neither.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const LONGEST = 200;

/** Text from outside as a terminal may get it: control characters are escaped, and it is at most 200 characters. */
export function printable(text: string): string {
  const safe = text.slice(0, LONGEST).replace(UNSAFE, escaped);
  return text.length > LONGEST ? `${safe}…` : safe;
}

function escaped(character: string): string {
  const code = character.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
}
