import { type Cors, isPreflight } from "./cors.ts";
import type { Exchange } from "./exchange.ts";
import type { Reply } from "./reply.ts";
import type { Stage } from "./route.ts";

/** The stages of a route, in the order in which they are asked. */
export function createStages(cors: Cors | undefined): readonly Stage[] {
  return cors === undefined ? [] : [preflight(cors)];
}

/** Asks the stages in turn; the first reply wins. */
export async function runStages(stages: readonly Stage[], exchange: Exchange): Promise<Reply | undefined> {
  for (const stage of stages) {
    const reply = await stage(exchange);
    if (reply !== undefined) return reply;
  }
  return undefined;
}

/** Answers a preflight itself: it never reaches a backend, which may not know OPTIONS at all. */
function preflight(cors: Cors): Stage {
  return ({ request, id }) => {
    if (!isPreflight(request.method ?? "", request.rawHeaders)) return undefined;
    const reply = cors.preflight(request.rawHeaders);
    return { ...reply, fields: [...reply.fields, ["X-Request-Id", id]] };
  };
}
