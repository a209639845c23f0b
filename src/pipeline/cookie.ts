import { fieldValues, type RawFields } from "../base/fields.ts";

/** The values of a cookie; several when a path or a parent domain has set it too. */
export function cookieValues(raw: RawFields, name: string): string[] {
  return fieldValues(raw, "cookie")
    .flatMap((line) => line.split(";"))
    .flatMap((pair) => {
      const at = pair.indexOf("=");
      return at > 0 && pair.slice(0, at).trim() === name ? [unquoted(pair.slice(at + 1).trim())] : [];
    });
}

/** RFC 6265 section 4.1.1 lets a value stand in quotes. */
function unquoted(value: string): string {
  return /^".*"$/.test(value) ? value.slice(1, -1) : value;
}
