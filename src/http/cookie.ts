import { fieldValues, type RawFields } from "./fields.ts";

/**
 * The values of a cookie; several when a path or a parent domain has set it too. What stands between others costs no
 * text of its own: 16 KiB of `;` are 16,000 cookies.
 */
export function cookieValues(raw: RawFields, name: string): string[] {
  const values: string[] = [];
  for (const line of fieldValues(raw, "cookie")) {
    if (!line.includes(name)) continue;
    let equals = -1;
    for (let at = 0; at < line.length; ) {
      const end = indexFrom(line, ";", at);
      // Not for each cookie anew: where no more follow, each look would go on to the end of the line.
      if (equals < at) equals = indexFrom(line, "=", at);
      if (equals > at && equals < end && line.slice(at, equals).trim() === name) {
        values.push(unquoted(line.slice(equals + 1, end).trim()));
      }
      at = end + 1;
    }
  }
  return values;
}

/** Where a character stands from a place on; behind the text when it does not. */
function indexFrom(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from);
  return at < 0 ? text.length : at;
}

/** RFC 6265 section 4.1.1 lets a value stand in quotes. */
function unquoted(value: string): string {
  return /^".*"$/.test(value) ? value.slice(1, -1) : value;
}
