import type { Directive } from "../directive.ts";
import type { Level } from "../level.ts";
import { exceptedMethods, methodsOf } from "./matches.ts";
import { isPreflight } from "./response-fields.ts";
import type { Scope } from "./scope.ts";

/** Directives that refuse some requests, with the values that switch them off; routes have no counterpart. */
const GUARDS: readonly (readonly [name: RegExp, isOff: RegExp])[] = [
  [/^auth_(?:basic|request|jwt|jwt_.*|oidc.*|digest)$/, /^off$/],
  [/^(?:access|rewrite)_by_lua(?:_file|_block)?$/, /^(?!)/],
  [/^js_access$/, /^(?!)/],
  [/^(?:valid_referers|secure_link|secure_link_md5|modsecurity|js_preread)$/, /^off$/],
  [/^ssl_verify_client$/, /^off$/],
];

/** Returns the directives that guard a location and have no counterpart. */
export function guardsOf(scope: Scope): readonly Directive[] {
  const names = new Set<string>();
  for (const level of scope.location.outward()) for (const { name } of level.directives) names.add(name);
  const found = [...names].flatMap((name) => {
    const guard = GUARDS.find(([pattern]) => pattern.test(name));
    const at = guard === undefined ? undefined : scope.set(name);
    return at !== undefined && guard?.[1].test(at.value) === false ? [at] : [];
  });
  const conditions = [...scope.ifs(), ...scope.ifs(scope.server)].filter(
    (level) => refuses(level) && !isPreflight(level) && allowedMethods(level) === undefined,
  );
  const excepts = scope.location.levels.filter(
    (level) => level.kind === "limit_except" && exceptedMethods(level) === undefined,
  );
  return [...found, ...[...conditions, ...excepts].flatMap(({ directive }) => directive ?? [])];
}

/** Whether an `if` returns a 4xx. */
const refuses = (level: Level): boolean =>
  level.own("return").some(({ args }) => /^4\d\d$/.test(args[0] ?? ""));

/** Returns the methods that the location allows; undefined for all. */
export function takenMethods(scope: Scope): string[] | undefined {
  for (const level of [...scope.location.levels, ...scope.ifs(scope.server)]) {
    const methods = level.kind === "limit_except" ? exceptedMethods(level)?.methods : allowedMethods(level);
    if (methods !== undefined) return methods;
  }
  return undefined;
}

/** Returns the methods of `if ($request_method !~ ^(GET|POST)$) { return 405; }`. */
function allowedMethods(level: Level): string[] | undefined {
  const condition = /^\(?\s*\$request_method\s+!~\s+["']?([^"'\s]+?)["']?\s*\)?$/.exec(
    level.directive?.value ?? "",
  );
  if (condition === null || !refuses(level)) return undefined;
  const source = condition[1] ?? "";
  return methodsOf(source) ?? methodsOf(`${source})`);
}
