/**
 * Header fields as they came off the wire: name, value, name, value… Order, case and duplicates are
 * kept, because a joined or re-ordered head is a head that two parsers can read in two ways.
 */
export type RawFields = readonly string[];

/** The first value of a field, which is named in lower case. */
export function fieldValue(raw: RawFields, lowerName: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) if (isNamed(raw[i], lowerName)) return raw[i + 1];
  return undefined;
}

/** Every value of a field, which is named in lower case, one per field line. */
export function fieldValues(raw: RawFields, lowerName: string): string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) if (isNamed(raw[i], lowerName)) values.push(raw[i + 1] ?? "");
  return values;
}

/** A copy in which the field stands once, at the place of the first of that name or at the end. */
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

/** A copy without any field of that name, whatever its case. */
export function removeField(raw: RawFields, name: string): string[] {
  const lowerName = name.toLowerCase();
  const copy: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if (!isNamed(raw[i], lowerName)) copy.push(raw[i] ?? "", raw[i + 1] ?? "");
  }
  return copy;
}

/** Flat fields as pairs, for the Node APIs that want them so. */
export function pairs(raw: RawFields): [name: string, value: string][] {
  const list: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return list;
}

// The length is compared first, so that a look-up lower-cases next to nothing.
function isNamed(name: string | undefined, lowerName: string): boolean {
  return name !== undefined && name.length === lowerName.length && name.toLowerCase() === lowerName;
}
