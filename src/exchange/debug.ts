import type { ClientRequest } from "../http/client-request.ts";
import { fieldValue } from "../http/fields.ts";
import type { Account } from "./account.ts";
import type { Route } from "./route.ts";

/** The facts of an exchange that debug fields show. */
interface Debugged {
  readonly request: ClientRequest;
  readonly route: Route | undefined;
  readonly dialledAt: number | undefined;
  readonly account: Pick<Account, "limitFields" | "elapsedMs">;
}

/** Whether a request asks for debug fields, and its route has them. */
export function isDebugging({ request, route }: Pick<Debugged, "request" | "route">): boolean {
  return route?.config.debug === true && fieldValue(request.rawHeaders, "x-apig-mode") === "debug";
}

/** Returns the debug fields of a response: limits, and times in ms until now; empty if they were not asked for. */
export function debugFields(exchange: Debugged): readonly (readonly [name: string, value: string])[] {
  if (!isDebugging(exchange)) return [];
  const { account, dialledAt } = exchange;
  const own: (readonly [string, string])[] = [["X-Apig-Latency", String(account.elapsedMs())]];
  if (dialledAt !== undefined) {
    own.push(["X-Apig-Upstream-Latency", String(Math.round(performance.now() - dialledAt))]);
  }
  return [...own, ...account.limitFields];
}
