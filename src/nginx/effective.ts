import type { Directive } from "./directive.ts";
import { initialValue } from "./directive-table.ts";
import type { Level } from "./level.ts";
import { isAtLeast, type NginxVersion, SINCE } from "./version.ts";

/** The effective value of a directive at a level. */
export interface Setting {
  readonly name: string;
  /** The arguments joined by blanks; else the default; empty without a default. */
  readonly value: string;
  readonly args: readonly string[];
  /** The directive that sets it; undefined for the default. */
  readonly directive: Directive | undefined;
  /** The level that has the directive; undefined for the default. */
  readonly level: Level | undefined;
  /** The directives of outer levels that this setting overrides, innermost first. */
  readonly overridden: readonly Directive[];
  /** Whether an unreadable include may set it, at this level or between this level and the setting. */
  readonly isUncertain: boolean;
}

/** Returns the default; for these two directives it depends on nginx's version, which the table does not know. */
function defaultOf(name: string, version: NginxVersion): string {
  if (name === "proxy_http_version") return isAtLeast(version, SINCE.http11Upstream) ? "1.1" : "1.0";
  if (name === "keepalive") return isAtLeast(version, SINCE.http11Upstream) ? "32 local" : "";
  return initialValue(name) ?? "";
}

/** Returns the effective value of a directive: from the innermost level that sets it, else nginx's default. */
export function effective(level: Level, name: string, version: NginxVersion): Setting {
  const all = effectiveAll(level, name);
  const directive = all.directives.at(-1);
  const { isUncertain, overridden } = all;
  if (directive === undefined) {
    const value = defaultOf(name, version);
    const args = value === "" ? [] : value.split(" ");
    return { name, value, args, directive, level: undefined, overridden, isUncertain };
  }
  const { value, args } = directive;
  return { name, value, args, directive, level: all.level, overridden, isUncertain };
}

/** The directives of one name that are effective together at a level. */
export interface Settings {
  readonly name: string;
  readonly directives: readonly Directive[];
  /** The innermost level with such a directive; undefined if no level has any. */
  readonly level: Level | undefined;
  /** The directives of outer levels that the inner level's own override. */
  readonly overridden: readonly Directive[];
  readonly isUncertain: boolean;
}

/**
 * Returns the effective directives of a name that may be repeated, such as `proxy_set_header` or `add_header`:
 * those of the innermost level that has any; nginx then ignores the outer levels.
 */
export function effectiveAll(level: Level, name: string): Settings {
  const overridden: Directive[] = [];
  let found: Level | undefined;
  let isUncertain = false;
  for (const each of level.outward()) {
    const own = each.own(name);
    if (found !== undefined) for (const directive of own) overridden.push(directive);
    else if (own.length > 0) found = each;
    if (found === undefined || found === each) isUncertain ||= each.unread.length > 0;
  }
  return { name, directives: found?.own(name) ?? [], level: found, overridden, isUncertain };
}

/** Does as `effectiveAll` for `add_header` and `add_trailer`, which nginx 1.29.3 lets `*_inherit` control. */
export function effectiveFields(
  level: Level,
  name: "add_header" | "add_trailer",
  version: NginxVersion,
): Settings {
  const plain = effectiveAll(level, name);
  if (!isAtLeast(version, SINCE.addHeaderInherit) || !hasRule(level, `${name}_inherit`)) return plain;
  const directives: Directive[] = [];
  const overridden: Directive[] = [];
  let found: Level | undefined;
  let isOpen = true;
  for (const each of level.outward()) {
    const own = each.own(name);
    for (const directive of own) (isOpen ? directives : overridden).push(directive);
    if (isOpen && own.length > 0) found ??= each;
    const rule = effective(each, `${name}_inherit`, version).value;
    if (rule === "off" || (rule !== "merge" && own.length > 0)) isOpen = false;
  }
  return { name, directives, level: found, overridden, isUncertain: plain.isUncertain };
}

const hasRule = (level: Level, name: string): boolean =>
  [...level.outward()].some((each) => each.own(name).length > 0);

/** Says where a value comes from: `default; nothing sets it in location /api/, server site.conf:12`, or the place. */
export function explain({ directive, level }: Setting, from: Level): string {
  if (directive !== undefined && level !== undefined) {
    return level === from ? `set here, ${directive.at}` : `from ${level.kind}, ${directive.at}`;
  }
  const seen = [...from.outward()].filter((each) => each.directive !== undefined).map((each) => each.label);
  return seen.length === 0 ? "default" : `default; nothing sets it in ${seen.join(", ")}`;
}
