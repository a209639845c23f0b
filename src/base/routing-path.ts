/** The one reading of a path: requests and route files are brought into the same form and refused for the same faults. */

/**
 * The form of a path that routes are compared by: percent-encoding undone, but for `%2F` and `%25`, and slashes in
 * a row made one, as nginx does (`merge_slashes on`).
 *
 * A backend decodes `/%61dmin`, and many merge the slashes of `//admin`, so neither may slip past a route for
 * `/admin`. `%2F` stays, because an encoded slash never separates segments, and `%25`, because without it `%252F`
 * would turn into one.
 */
export function routingPath(path: string): string {
  const merged = path.includes("//") ? path.replace(/\/{2,}/g, "/") : path;
  if (!merged.includes("%")) return merged;
  return merged.replace(/%([0-9a-f]{2})/gi, (encoded, hex: string) => {
    const upper = hex.toUpperCase();
    return upper === "2F" || upper === "25"
      ? `%${upper}`
      : String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
  });
}

/** What makes a path readable in two ways, and so never served; undefined when nothing does. */
export function pathFault(path: string): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(path)) return "invalid percent-encoding";
  if (/\\|%5c/i.test(path)) return "a backslash";
  if (/%00/.test(path)) return "a NUL";
  // `..;x` is a dot segment for servers with path parameters, `..%2f` for those that decode first.
  const segments = path.replace(/%2e/gi, ".").split(/\/|%2f/i);
  if (segments.some((segment) => /^\.\.?(?:;|$)/.test(segment))) return "a dot segment";
  return undefined;
}
