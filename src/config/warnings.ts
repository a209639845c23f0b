import { findOpenAlternatives } from "./conditional-routes.ts";
import type { Problem } from "./problem.ts";
import type { Config } from "./server-schema.ts";

/** Returns the places of a valid configuration where a condition decides over credentials, which it must not. */
export function warningsOf({ routes }: Pick<Config, "routes">): Problem[] {
  const files = new Map(routes.map(({ name, file }) => [name, file]));
  return findOpenAlternatives(routes).map(({ name, other, conditions }) => {
    const message = `a client that adds or omits ${conditions} avoids the auth and access of this route: the route ${other} has none; match.header and match.query choose a version and protect nothing`;
    return { file: files.get(name), at: undefined, key: "match", message };
  });
}
