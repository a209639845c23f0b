import type { RouteInput } from "../../config/route-schema.ts";
import { editableField, fieldValue, token } from "../../config/scalars.ts";
import { findMap } from "../configuration.ts";
import type { Directive } from "../directive.ts";
import { hasVariable, type Scope } from "./scope.ts";

type Edits = NonNullable<NonNullable<RouteInput["headers"]>["response"]>;
type Cors = Exclude<RouteInput["cors"], boolean | undefined>;

const isCors = (at: Directive): boolean => /^access-control-/i.test(at.arg(0));
/** sluice sends both by itself where they belong. */
const OWN = /^(?:x-accel-buffering|vary)$/i;

/** The fields that a route sets and removes on the way to the client. */
export function responseEdits(scope: Scope): Edits | undefined {
  const set: Record<string, string> = {};
  const remove: string[] = [];
  for (const at of scope.all("proxy_hide_header")) {
    if (isCors(at) || OWN.test(at.arg(0))) continue;
    if (editableField.safeParse(at.arg(0)).success) remove.push(at.arg(0));
    else scope.notes.add(at, "the field frames the message, which sluice does itself");
  }
  for (const at of scope.all("add_header")) {
    const [name = "", value = ""] = at.args;
    if (isCors(at) || OWN.test(name) || value === "") continue;
    if (!editableField.safeParse(name).success)
      scope.notes.add(at, "the field frames the message, which sluice does itself");
    else if (hasVariable(value))
      scope.notes.add(at, "the value is put together for each answer; a route sets fixed ones");
    else if (fieldValue.safeParse(value).success) set[name] = value;
    else scope.notes.add(at, "the value has characters that no field may have");
  }
  // What is set takes the place of the backend's, so it need not be removed as well.
  const removed = remove.filter(
    (name) => !Object.keys(set).some((each) => each.toLowerCase() === name.toLowerCase()),
  );
  if (Object.keys(set).length === 0 && removed.length === 0) return undefined;
  return { ...(Object.keys(set).length > 0 && { set }), ...(removed.length > 0 && { remove: removed }) };
}

/** The route's cors, from the fields of the location and of its answer to a preflight. */
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
    scope.notes.add(origin, "no list of origins; write cors.allowOrigins by hand");
    return undefined;
  }
  const list = (name: string) => listOf(corsField(name), scope);
  const [methods, headers, exposed] = [list("allow-methods"), list("allow-headers"), list("expose-headers")];
  const credentials = corsField("allow-credentials");
  const allowCredentials = credentials?.arg(1).toLowerCase() === "true";
  const isOpen = [allowOrigins, methods, headers, exposed].some((each) => each?.includes("*"));
  if (credentials !== undefined && allowCredentials && isOpen) {
    scope.notes.add(credentials, "browsers refuse credentials together with *, so they are left out");
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

/** A field that is a list; undefined without it, or when it is put together. */
function listOf(at: Directive | undefined, { notes }: Scope): string[] | undefined {
  if (at === undefined) return undefined;
  const words = at
    .arg(1)
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  if (words.length > 0 && words.every((word) => token.safeParse(word).success && !hasVariable(word)))
    return words;
  notes.add(at, "no fixed list; the default of cors holds");
  return undefined;
}

/** `if ($request_method = OPTIONS)`: sluice answers preflights by itself. */
export const isPreflight = ({ directive }: { readonly directive: Directive | undefined }): boolean =>
  /^\(?\s*\$request_method\s+=\s+["']?OPTIONS["']?\s*\)?$/.test(directive?.value ?? "");

/** The origins of a field's value; a variable's are those of its map. */
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
      notes.add(pair, "no exact origin and no https://*.example.com; write it by hand");
    return origin ?? [];
  });
}

/** `^https://.*\.example\.com$` as `https://*.example.com`; undefined for other expressions. */
function patternOf(key: string): string | undefined {
  const labels = String.raw`(?:\(?(?:\?:)?(?:\.[*+]|\[[^\]]+\][*+](?:\(\?:\\\.\[[^\]]+\][*+]\)\*)?)\)?)`;
  const match = new RegExp(String.raw`^~\*?\^(https?)://(${labels}\\\.)?((?:[\w-]|\\\.)+)(:\d+)?\$$`).exec(
    key.replaceAll("\\/", "/"),
  );
  if (match === null) return undefined;
  const [, scheme, wildcard, name = "", port = ""] = match;
  return `${scheme}://${wildcard === undefined ? "" : "*."}${name.replaceAll("\\", "")}${port}`;
}
