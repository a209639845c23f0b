import { fieldValues, type RawFields, withoutField } from "./fields.ts";

/**
 * Returns the values of a cookie; several if a path or a parent domain has set it too. Makes no string for other
 * cookies: 16 KiB of `;` are 16,000 of them.
 */
export function cookieValues(raw: RawFields, name: string): string[] {
  const values: string[] = [];
  for (const line of fieldValues(raw, "cookie")) {
    if (!line.includes(name)) continue;
    let equals = -1;
    for (let at = 0; at < line.length; ) {
      const end = indexFrom(line, ";", at);
      // Searched again only when passed: without a further `=`, each search would run to the end of the line.
      if (equals < at) equals = indexFrom(line, "=", at);
      if (equals > at && equals < end && line.slice(at, equals).trim() === name) {
        values.push(unquoted(line.slice(equals + 1, end).trim()));
      }
      at = end + 1;
    }
  }
  return values;
}

/** Returns the fields without the cookies of that name; the others come in one Cookie field, the last of all fields. */
export function withoutCookie(fields: string[], name: string): string[] {
  const lines = fieldValues(fields, "cookie");
  if (!lines.some((line) => line.includes(name))) return fields;
  const kept = lines
    .flatMap((line) => line.split(";"))
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "" && pair.split("=", 1)[0]?.trim() !== name);
  const rest = withoutField(fields, "cookie");
  return kept.length === 0 ? rest : [...rest, "Cookie", kept.join("; ")];
}

/** Returns the index of a character at or after `from`; the text's length if there is none. */
function indexFrom(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from);
  return at < 0 ? text.length : at;
}

/** Removes the quotes that RFC 6265 section 4.1.1 allows around a value. */
function unquoted(value: string): string {
  return /^".*"$/.test(value) ? value.slice(1, -1) : value;
}
