import type { SharedConfig } from "../config/shared-schema.ts";
import type { Route } from "../exchange/route.ts";
import type { Mock } from "../stream/mock.ts";
import type { Upstream } from "../upstream/upstream.ts";

/** A route whose streams are shared, with its upstream or its mock. */
export type SharedRoute = Route &
  (
    | { readonly upstream: Upstream; readonly mock: undefined }
    | { readonly upstream: undefined; readonly mock: Mock }
  );

/** Returns a route's `shared`. Throws TypeError if it has none. */
export function sharedOf({ config }: Route): SharedConfig {
  if (config.shared === undefined) throw new TypeError(`route ${config.name} is not shared`);
  return config.shared;
}
