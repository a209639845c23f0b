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

/** Returns a copy that holds the field once, in the position of the first field of that name or at the end. */
export function setField(raw: RawFields, name: string, value: string): string[] {
  const lowerName = name.toLowerCase();
  const copy: string[] = [];
  let isSet = false;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isNamed(raw[i], lowerName)) copy.push(raw[i] ?? "", raw[i + 1] ?? "");
    else if (!isSet) isSet = copy.push(name, value) > 0;
  }
  if (!isSet) copy.push(name, value);
  return copy;
}

/** Returns a copy without any field of that name, in any case. */
export function removeField(raw: RawFields, name: string): string[] {
  const lowerName = name.toLowerCase();
  const copy: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isNamed(raw[i], lowerName)) copy.push(raw[i] ?? "", raw[i + 1] ?? "");
  }
  return copy;
}

/** Returns flat fields as pairs. */
export function pairs(raw: RawFields): [name: string, value: string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return list;
}

// Compares the lengths first, so that few names have to be lower-cased.
function isNamed(name: string | undefined, lowerName: string): boolean {
  return name !== undefined && name.length === lowerName.length && name.toLowerCase() === lowerName;
}
