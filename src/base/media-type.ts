/** `type/subtype` of a Content-Type value, in lower case and without parameters; empty when there is none. */
export function mediaType(value: string | undefined): string {
  if (value === undefined) return "";
  const end = value.indexOf(";");
  return (end < 0 ? value : value.slice(0, end)).trim().toLowerCase();
}
