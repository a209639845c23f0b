import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { fieldName } from "../http/field-name.ts";
import type { SourceHead } from "../http/source.ts";
import { clientLocation, clientRefresh } from "./redirects.ts";

/** Rewrites, in place, the fields of a backend's response that contain URLs; those of a mock stay. */
export function rewriteResponseFields(
  fields: string[],
  exchange: Exchange,
  route: Route,
  { status }: Pick<SourceHead, "status">,
): void {
  const { backendAddress: backend } = exchange;
  if (backend === undefined || route.config.rewrite.redirects === "off") return;
  const answered = { exchange, route, backend, status };
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const { lower } = fieldName(fields[at] ?? "");
    const value = fields[at + 1] ?? "";
    if (lower === "location") fields[at + 1] = clientLocation(value, answered);
    else if (lower === "refresh") fields[at + 1] = clientRefresh(value, answered);
  }
}
