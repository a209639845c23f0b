import type { Exchange } from "../exchange/exchange.ts";
import type { Route } from "../exchange/route.ts";
import { isNamed } from "../http/fields.ts";
import type { SourceHead } from "../http/source.ts";
import { clientLocation, clientRefresh } from "./redirects.ts";
import { clientCookie } from "./set-cookie.ts";

/** Rewrites, in place, the fields of a backend's response that contain its URLs or its cookies; those of a mock stay. */
export function rewriteResponseFields(
  fields: string[],
  exchange: Exchange,
  route: Route,
  { status }: Pick<SourceHead, "status">,
): void {
  const { backendAddress: backend } = exchange;
  if (backend === undefined) return;
  const { rewrite } = route.config;
  const answered = { exchange, route, backend, status };
  const isAuto = rewrite.redirects === "auto";
  const changesCookies = rewrite.cookies.domain !== undefined || rewrite.cookies.path !== undefined;
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = fields[at];
    const value = fields[at + 1] ?? "";
    if (isAuto && isNamed(name, "location")) fields[at + 1] = clientLocation(value, answered);
    else if (isAuto && isNamed(name, "refresh")) fields[at + 1] = clientRefresh(value, answered);
    else if (changesCookies && isNamed(name, "set-cookie"))
      fields[at + 1] = clientCookie(value, exchange, rewrite);
  }
}
