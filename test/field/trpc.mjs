import { initTRPC, TRPCError } from "@trpc/server";
import { createHTTPServer } from "@trpc/server/adapters/standalone";
import { ERROR_TEXT } from "./script.mjs";

/** A server with the tokens as a subscription and as a streamed query. */
export function trpcBackend(script) {
  const { procedure, router } = initTRPC.create();
  async function* tokens() {
    yield* script.round.tokens();
  }
  const guarded = procedure.use(({ next }) => {
    if (script.round.mode !== "error") return next();
    throw new TRPCError({ code: "TOO_MANY_REQUESTS", message: ERROR_TEXT });
  });
  const routes = { live: guarded.subscription(tokens), streamed: guarded.query(tokens) };
  return createHTTPServer({ router: router(routes) });
}
