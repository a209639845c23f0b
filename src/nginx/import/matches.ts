import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import { isRegex, modifierOf, pathOf } from "../locations.ts";
import { type Notes, NotImported } from "./notes.ts";
import type { Scope } from "./scope.ts";

/** The names that mean any host. */
const ANY_HOST = new Set(["", "_", "localhost"]);

/** The names that can be a route's host. */
const HOST = /^(?:\*\.)?[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** Returns the hosts of a server; undefined means any. Throws NotImported if no name can be a route's host. */
export function hostsOf(server: Level, notes: Notes): readonly (string | undefined)[] {
  const directives = server.own("server_name");
  const names = directives.flatMap(({ args }) => args);
  if (names.every((name) => ANY_HOST.has(name))) return [undefined];
  const hosts: string[] = [];
  for (const at of directives) {
    for (const name of at.args) {
      if (ANY_HOST.has(name)) continue;
      if (HOST.test(name)) hosts.push(name.toLowerCase());
      // In nginx, .example.com is the name itself and every name below it.
      else if (name.startsWith(".") && HOST.test(name.slice(1)))
        hosts.push(name.slice(1).toLowerCase(), `*${name.toLowerCase()}`);
      else notes.add(at, `${name} is a pattern; a route needs a host name, or one that begins with *.`);
    }
  }
  const [first] = directives;
  if (hosts.length === 0 && first !== undefined) {
    throw new NotImported(
      first,
      "all names are patterns; write the routes by hand, without a host for any host",
    );
  }
  return [...new Set(hosts)];
}

/** Returns the paths of a location in the form of routes. Throws NotImported. */
export function pathsOf({ location, directive, server, notes }: Scope): readonly string[] {
  const modifier = modifierOf(location);
  if (modifier === "@") throw new NotImported(directive, "a named location has no path");
  if (isRegex(location)) {
    const paths = alternativesOf(pathOf(location));
    if (paths === undefined) {
      throw new NotImported(
        directive,
        "the expression is not a list of paths; write a route for each path that it matches",
      );
    }
    if (modifier === "~*") notes.add(directive, "the paths of routes are case-sensitive");
    return paths;
  }
  const path = encoded(pathOf(location));
  if (!path.startsWith("/")) throw new NotImported(directive, "the path does not begin with a slash");
  if (modifier === "=") return [path];
  if (path.endsWith("/")) {
    const bare = path.slice(0, -1);
    if (bare !== "" && !hasExact(server, bare)) {
      notes.add(directive, `nginx redirects ${bare} to ${path}; the route accepts it as it is`);
    }
    return [`${path}*`];
  }
  notes.add(
    directive,
    `nginx also matches longer names such as ${path}y; the route matches ${path} and the paths below it`,
  );
  return [`${path}/*`];
}

const hasExact = (server: Level, path: string): boolean =>
  server.levels.some(
    (level) => level.kind === "location" && modifierOf(level) === "=" && pathOf(level) === path,
  );

/** Percent-encodes a decoded path as routes need it. */
export const encoded = (path: string): string =>
  path.replace(/[^!$&'()+,\-./0-9:;=@A-Z_a-z~]/gu, (character) => percent(character));

const percent = (character: string): string =>
  [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");

/** The maximum number of alternatives of one expression: no list written by hand is longer. */
const MAX_PATHS = 50;
const GROUP = /^([^()|]*)(?:\((?:\?:)?([^()]*)\)([^()|]*))?$/;
/** Text without operators of a regular expression. */
const LITERAL = /^(?:[\w/~-]|\\[./-])*$/;

/** Returns the paths of `^/(a|b)/`, `^/a$` and the like; undefined for other expressions. */
export function alternativesOf(source: string): string[] | undefined {
  if (!source.startsWith("^/")) return undefined;
  const { body, ending } = splitEnding(source.slice(1));
  const [, before = "", list, after = ""] = GROUP.exec(body) ?? [];
  if (GROUP.exec(body) === null) return undefined;
  const words = list === undefined ? [""] : list.split("|");
  const paths = words.map((each) => `${before}${each}${after}`);
  if (paths.length > MAX_PATHS || !paths.every((path) => LITERAL.test(path))) return undefined;
  return paths.map((path) => {
    const plain = path.replace(/\\/g, "");
    if (ending === "exact") return plain;
    return plain.endsWith("/") ? `${plain}*` : `${plain}/*`;
  });
}

function splitEnding(text: string): { readonly body: string; readonly ending: "exact" | "below" } {
  const ending = /(?:\(\/\|\$\)|\(\?:\/\|\$\)|\(\.\*\)\$?|\.\*\$?|\(\/\.\*\)\?\$|\(\?:\/\.\*\)\?\$)$/.exec(
    text,
  )?.[0];
  if (ending !== undefined) return { body: text.slice(0, -ending.length), ending: "below" };
  return text.endsWith("$") ? { body: text.slice(0, -1), ending: "exact" } : { body: text, ending: "below" };
}

/** Returns the methods of `^(GET|POST)$`; undefined for other expressions. */
export function methodsOf(source: string): string[] | undefined {
  const list = /^\^\(?(?:\?:)?([A-Z|]+)\)?\$$/.exec(source)?.[1];
  return list?.split("|");
}

/** Returns the methods that `limit_except` allows for everybody. */
export function exceptedMethods(
  level: Level,
): { readonly methods: string[]; readonly at: Directive } | undefined {
  const at = level.directive;
  const isClosed = level.own("deny").some(({ value }) => value === "all") && level.own("allow").length === 0;
  return at !== undefined && isClosed
    ? { methods: at.args.filter((method) => method !== "HEAD"), at }
    : undefined;
}
