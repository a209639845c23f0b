import { isDeepStrictEqual } from "node:util";
import type * as z from "zod";
import type { StickyConfig } from "./sticky-schema.ts";

interface Destination {
  readonly upstream?: { readonly sticky?: StickyConfig | undefined } | undefined;
}

interface StickyRoute extends Destination {
  readonly stages: Readonly<Record<string, Destination>>;
  readonly shared?: unknown;
  readonly auth?: { readonly jwt?: { readonly cookie?: string | undefined } | undefined } | undefined;
}

/** Refuses a `sticky` that another key of the route would make useless, in each environment that has its own. */
export function refuseUselessSticky(route: StickyRoute, ctx: z.RefinementCtx): void {
  const own = route.upstream?.sticky;
  const inherits = ({ upstream }: Destination) => isDeepStrictEqual(upstream, route.upstream);
  const staged = Object.entries(route.stages).filter(([, stage]) => !inherits(stage));
  const all: [PropertyKey[], StickyConfig | undefined][] = [
    [["upstream", "sticky"], own],
    ...staged.map(([name, { upstream }]): [PropertyKey[], StickyConfig | undefined] => [
      ["stages", name, "upstream", "sticky"],
      upstream?.sticky,
    ]),
  ];
  for (const [path, sticky] of all) {
    const problem = sticky && problemOf(sticky, route);
    if (problem !== undefined)
      ctx.addIssue({ code: "custom", path: [...path, ...problem.path], message: problem.message });
  }
}

function problemOf({ cookie }: StickyConfig, { shared, auth }: StickyRoute) {
  if (shared !== undefined) {
    const message =
      "expected no sticky together with shared: one backend request serves all clients of a stream; balance: hash keeps each stream at its backend";
    return { path: [], message };
  }
  const holdsToken = auth?.jwt?.cookie;
  if (holdsToken === undefined || cookie?.name !== holdsToken) return undefined;
  return { path: ["cookie"], message: "expected another cookie than auth.jwt.cookie, which holds the token" };
}
