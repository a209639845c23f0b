import type { RouteInput } from "../../config/route-schema.ts";
import { editableField, fieldValue, token } from "../../config/scalars.ts";
import { findMap } from "../configuration.ts";
import type { Directive } from "../directive.ts";
import { hasVariable, type Scope } from "./scope.ts";

type Edits = NonNullable<NonNullable<RouteInput["headers"]>["response"]>;
type Cors = Exclude<RouteInput["cors"], boolean | undefined>;

const isCors = (at: Directive): boolean => /^access-control-/i.test(at.arg(0));
/** The fields that sluice itself sets where they are needed. */
const OWN = /^(?:x-accel-buffering|vary)$/i;

/** Returns the response fields that a route sets and removes. */
export function responseEdits(scope: Scope): Edits | undefined {
  const set: Record<string, string> = {};
  const remove: string[] = [];
  for (const at of scope.all("proxy_hide_header")) {
    if (isCors(at) || OWN.test(at.arg(0))) continue;
    if (editableField.safeParse(at.arg(0)).success) remove.push(at.arg(0));
    else scope.notes.add(at, "the field frames the message; sluice sets it itself");
  }
  for (const at of scope.all("add_header")) {
    const [name = "", value = ""] = at.args;
    if (isCors(at) || OWN.test(name) || value === "") continue;
    if (!editableField.safeParse(name).success)
      scope.notes.add(at, "the field frames the message; sluice sets it itself");
    else if (hasVariable(value))
      scope.notes.add(at, "the value contains variables; a route sets fixed values");
    else if (fieldValue.safeParse(value).success) set[name] = value;
    else scope.notes.add(at, "the value has characters that a field must not have");
  }
  // A set field replaces the backend's, so it need not be removed.
  const removed = remove.filter(
    (name) => !Object.keys(set).some((each) => each.toLowerCase() === name.toLowerCase()),
  );
  if (Object.keys(set).length === 0 && removed.length === 0) return undefined;
  return { ...(Object.keys(set).length > 0 && { set }), ...(removed.length > 0 && { remove: removed }) };
}

/** Returns the route's cors, from the fields of the location and of its response to a preflight. */
export function corsOf(scope: Scope): Cors | undefined {
  const inner = scope
    .ifs()
    .filter(isPreflight)
    .flatMap((level) => level.own("add_header"));
  const fields = [...scope.all("add_header"), ...inner].filter(isCors);
  const corsField = (name: string) =>
    fields.findLast(({ args }) => args[0]?.toLowerCase() === `access-control-${name}`);
  const origin = corsField("allow-origin");
  if (origin === undefined) return undefined;
  const allowOrigins = originsOf(origin, scope);
  if (allowOrigins.length === 0) {
    scope.notes.add(origin, "the origins are not a fixed list; write cors.allowOrigins by hand");
    return undefined;
  }
  const list = (name: string) => listOf(corsField(name), scope);
  const [methods, headers, exposed] = [list("allow-methods"), list("allow-headers"), list("expose-headers")];
  const credentials = corsField("allow-credentials");
  const allowCredentials = credentials?.arg(1).toLowerCase() === "true";
  const isOpen = [allowOrigins, methods, headers, exposed].some((each) => each?.includes("*"));
  if (credentials !== undefined && allowCredentials && isOpen) {
    scope.notes.add(credentials, "browsers refuse credentials together with *, so the route omits them");
  }
  const seconds = Number(corsField("max-age")?.arg(1));
  return {
    allowOrigins,
    ...(methods && { allowMethods: methods.filter((method) => method !== "OPTIONS") }),
    ...(headers && { allowHeaders: headers }),
    ...(exposed && { exposeHeaders: exposed }),
    ...(allowCredentials && !isOpen && { allowCredentials }),
    ...(Number.isInteger(seconds) && seconds > 0 && seconds < 2_000_000 && { maxAge: `${seconds}s` }),
  };
}

/** Returns the items of a field; undefined without the field, or if it contains variables. */
function listOf(at: Directive | undefined, { notes }: Scope): string[] | undefined {
  if (at === undefined) return undefined;
  const words = at
    .arg(1)
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  if (words.length > 0 && words.every((word) => token.safeParse(word).success && !hasVariable(word)))
    return words;
  notes.add(at, "not a fixed list; the route uses the default of cors");
  return undefined;
}

/** Whether a block is `if ($request_method = OPTIONS)`: sluice itself answers preflights. */
export const isPreflight = ({ directive }: { readonly directive: Directive | undefined }): boolean =>
  /^\(?\s*\$request_method\s+=\s+["']?OPTIONS["']?\s*\)?$/.test(directive?.value ?? "");

/** Returns the origins in a field's value; for a variable those of its map. */
function originsOf(at: Directive, { configuration, notes }: Scope): string[] {
  const value = at.arg(1).replace(/\/$/, "");
  if (!hasVariable(value)) return value === "" ? [] : [value];
  const map = findMap(configuration, value);
  if (map === undefined || !/^\$http_origin$/.test(map.arg(0))) return [];
  return (map.block ?? []).flatMap((pair) => {
    const target = pair.arg(0);
    if (pair.name === "default") return target === "*" ? ["*"] : [];
    if (target === "") return [];
    const origin = pair.name.startsWith("~") ? patternOf(pair.name) : pair.name;
    if (origin === undefined)
      notes.add(pair, "neither an exact origin nor https://*.example.com; write it by hand");
    return origin ?? [];
  });
}

/** Converts `^https://.*\.example\.com$` to `https://*.example.com`; undefined for other expressions. */
function patternOf(key: string): string | undefined {
  const labels = String.raw`(?:\(?(?:\?:)?(?:\.[*+]|\[[^\]]+\][*+](?:\(\?:\\\.\[[^\]]+\][*+]\)\*)?)\)?)`;
  const match = new RegExp(String.raw`^~\*?\^(https?)://(${labels}\\\.)?((?:[\w-]|\\\.)+)(:\d+)?\$$`).exec(
    key.replaceAll("\\/", "/"),
  );
  if (match === null) return undefined;
  const [, scheme, wildcard, name = "", port = ""] = match;
  return `${scheme}://${wildcard === undefined ? "" : "*."}${name.replaceAll("\\", "")}${port}`;
}
