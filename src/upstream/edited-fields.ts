import type { Route } from "../exchange/route.ts";
import { fieldName } from "../http/field-name.ts";
import { nameSet } from "../http/name-set.ts";

const lists = new WeakMap<object, readonly string[]>();

/** Returns the names that `headers.request` of a route removes or sets: the same list for each of its requests. */
export function editedNames({ config }: Pick<Route, "config">): readonly string[] {
  const edits = config.headers.request;
  const known = lists.get(edits);
  if (known !== undefined) return known;
  const names = [...edits.remove, ...Object.keys(edits.set)];
  lists.set(edits, names);
  return names;
}

/** Returns the value to which a route sets a request field; undefined if it does not. `lowerName` is in lower case. */
export function setValue({ config }: Pick<Route, "config">, lowerName: string): string | undefined {
  if (editedNames({ config }).length === 0) return undefined;
  const { set } = config.headers.request;
  return Object.entries(set).findLast(([name]) => name.toLowerCase() === lowerName)?.[1];
}

/**
 * Returns a request's fields without the twins of those that the route removes or sets: removing `X-Role` means
 * `X_Role` too, which a CGI backend reads as the same field.
 */
export function withoutTwinsOfEdits(raw: string[], route: Pick<Route, "config">): string[] {
  const names = editedNames(route);
  if (names.length === 0) return raw;
  const edited = nameSet(names);
  const fields: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (!edited.hasTwinOf(fieldName(raw[at] ?? ""))) fields.push(raw[at] ?? "", raw[at + 1] ?? "");
  }
  return fields;
}
