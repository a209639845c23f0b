import type { RouteInput } from "../../config/route-schema.ts";
import { editableField, fieldValue } from "../../config/scalars.ts";
import type { Scope } from "./scope.ts";
import { hasVariable } from "./scope.ts";

type Edits = NonNullable<NonNullable<RouteInput["headers"]>["request"]>;

/** The fields that sluice itself sets, or manages for each connection. */
const OWN =
  /^(?:x-forwarded-(?:for|proto|host|port|server|scheme|ssl)|x-real-ip|x-request-id|forwarded|upgrade|connection|via)$/;

/** Returns the request fields that a route sets and removes. */
export function requestEdits(scope: Scope): Edits | undefined {
  const set: Record<string, string> = {};
  const remove: string[] = [];
  for (const at of scope.all("proxy_set_header")) {
    const [name = "", value = ""] = at.args;
    const lower = name.toLowerCase();
    if (OWN.test(lower) || passes(lower, value) || (lower === "host" && hasVariable(value))) continue;
    if (!editableField.safeParse(name).success)
      scope.notes.add(at, "the field frames the message; sluice sets it itself");
    else if (value === "") remove.push(name);
    else if (hasVariable(value))
      scope.notes.add(at, "the value contains variables; a route sets fixed values");
    else if (fieldValue.safeParse(value).success) set[name] = value;
    else scope.notes.add(at, "the value has characters that a field must not have");
  }
  if (Object.keys(set).length === 0 && remove.length === 0) return undefined;
  return { ...(Object.keys(set).length > 0 && { set }), ...(remove.length > 0 && { remove }) };
}

/** Whether sluice does the same without a setting: it forwards the client's own field. */
const passes = (lower: string, value: string): boolean =>
  value === `$http_${lower.replaceAll("-", "_")}` ||
  (lower === "cookie" && value === "$http_cookie") ||
  // sluice drops a client's own prefix.
  (lower === "x-forwarded-prefix" && value === "");

/** Whether the location forwards WebSocket upgrades. */
export function takesWebSockets(scope: Scope): boolean {
  const upgrade = scope.all("proxy_set_header").findLast(({ args }) => args[0]?.toLowerCase() === "upgrade");
  return (upgrade?.arg(1) ?? "") !== "";
}
