/**
 * Header fields as on the wire: name, value, name, value… Order, case and duplicates are kept, because two parsers can
 * read a joined or reordered head in two ways.
 */
export type RawFields = readonly string[];

/** Returns the first value of a field; `lowerName` is in lower case. */
export function fieldValue(raw: RawFields, lowerName: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) if (isNamed(raw[i], lowerName)) return raw[i + 1];
  return undefined;
}

/** Returns every value of a field, one per field line; `lowerName` is in lower case. */
export function fieldValues(raw: RawFields, lowerName: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) if (isNamed(raw[i], lowerName)) values.push(raw[i + 1] ?? "");
  return values;
}

/** Returns the items of a comma-separated list over all lines of its field, without empty ones (RFC 9110 section 5.6.1). */
export function listItems(values: readonly string[]): string[] {
  const items: string[] = [];
  for (const value of values) {
    for (const part of value.split(",")) {
      const item = part.trim();
      if (item !== "") items.push(item);
    }
  }
  return items;
}

/** Whether a value of a field passes a test; `lowerName` is in lower case. Makes no list: most messages lack the field. */
export function someValue(raw: RawFields, lowerName: string, test: (value: string) => boolean): boolean {
  for (let i = 0; i + 1 < raw.length; i += 2)
    if (isNamed(raw[i], lowerName) && test(raw[i + 1] ?? "")) return true;
  return false;
}

/** Sets a field, in place, so that it occurs once: in the position of its first field line, or at the end. */
export function setField(fields: string[], name: string, value: string): void {
  const at = indexOfField(fields, name.toLowerCase(), 0);
  if (at === fields.length) {
    fields.push(name, value);
    return;
  }
  fields[at] = name;
  fields[at + 1] = value;
  removeFrom(fields, name, at + 2);
}

/** Removes, in place, each field of that name, in any case. */
export function removeField(fields: string[], name: string): void {
  removeFrom(fields, name, 0);
}

/** Returns a copy without any field of that name, in any case. */
export function withoutField(raw: RawFields, name: string): string[] {
  const copy = [...raw];
  removeField(copy, name);
  return copy;
}

function removeFrom(fields: string[], name: string, from: number): void {
  const lowerName = name.toLowerCase();
  let kept = indexOfField(fields, lowerName, from);
  if (kept === fields.length) return;
  for (let at = kept + 2; at + 1 < fields.length; at += 2) {
    if (isNamed(fields[at], lowerName)) continue;
    fields[kept++] = fields[at] ?? "";
    fields[kept++] = fields[at + 1] ?? "";
  }
  fields.length = kept;
}

/** Returns the index of the first field of that name at or after `from`; the length if there is none. */
function indexOfField(fields: RawFields, lowerName: string, from: number): number {
  for (let at = from; at + 1 < fields.length; at += 2) if (isNamed(fields[at], lowerName)) return at;
  return fields.length;
}

/** Returns flat fields as pairs. */
export function pairs(raw: RawFields): [name: string, value: string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return list;
}

/** Whether a field has that name, in any case. Compares the lengths first, so that few names have to be lower-cased. */
export function isNamed(name: string | undefined, lowerName: string): boolean {
  return name !== undefined && name.length === lowerName.length && name.toLowerCase() === lowerName;
}
