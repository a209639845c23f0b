import * as z from "zod";
import { clientHeaderPart, keyPartPattern } from "./key-part-schema.ts";
import type { RouteMatch } from "./match-schema.ts";
import { duration, size } from "./scalars.ts";

/** The `shared` of a route: one backend request for all clients that ask for the same stream. */

const EXPECTED_PART = "expected path, query, principal or header:NAME";
const WORDS: ReadonlySet<string> = new Set(["path", "query", "principal"]);
/** A part of a request that belongs to its stream's key: requests that differ in it get different streams. */
const keyPart = z
  .string(EXPECTED_PART)
  .meta({ pattern: keyPartPattern("path", "query", "principal") })
  .transform((part, ctx) => (WORDS.has(part) ? part : clientHeaderPart(part, EXPECTED_PART, ctx)));

const history = z.strictObject({
  events: z
    .int()
    .min(0)
    .max(1_000_000)
    .prefault(1000)
    .describe("The maximum number of events kept for each stream."),
  bytes: size.prefault("8m").describe("The maximum number of bytes of events kept for each stream."),
  age: duration.prefault("10m").describe("How long an event is kept."),
});

const redial = z.strictObject({
  min: duration
    .prefault("500ms")
    .describe("The first wait before the backend is asked again; the stream's own retry: replaces it."),
  max: duration
    .prefault("30s")
    .describe("The longest wait; waits double up to it, and each is shortened at random by up to a half."),
  maxRetryAfter: duration.prefault("5m").describe("The longest Retry-After of a backend that is obeyed."),
});

export const sharedSchema = z
  .strictObject({
    by: z
      .array(keyPart)
      .min(1, EXPECTED_PART)
      .optional()
      .describe(
        "The parts of a request that two clients of one stream must have in common: path, query, principal, header:NAME. path and query by default; required on a route with auth. The backend gets no other part of a client's request.",
      ),
    history: history.prefault({}).describe("The events kept for reconnecting clients."),
    ids: z
      .enum(["auto", "always", "never"])
      .prefault("auto")
      .describe(
        "Event ids. auto: the backend's, and sluice's for events without one; always: sluice's instead of the backend's; never: the backend's alone.",
      ),
    linger: duration
      .prefault("30s")
      .describe("How long to keep the backend request after the last client has left."),
    onGap: z
      .enum(["signal", "close"])
      .prefault("signal")
      .describe(
        "If a client has missed events: send it a gap event and continue, or send it a gap event and end its stream.",
      ),
    polling: z
      .boolean()
      .prefault(true)
      .describe(
        "Answer polls and long polls from the same history: ?transport=, or Accept: application/json.",
      ),
    pollTimeout: duration
      .prefault("60s")
      .describe("The longest wait of a long poll; a request that names no wait gets 25s."),
    maxEvent: size
      .refine((bytes) => bytes >= 1024 && bytes <= 64 * 1024 ** 2, "expected a size from 1k to 64m")
      .prefault("1m")
      .describe("The longest event that is accepted from a backend; event_too_large beyond."),
    channels: z
      .int()
      .min(1)
      .max(1_000_000)
      .prefault(1000)
      .describe("Different streams of this route open at a time; 429 beyond."),
    redial: redial.prefault({}).describe("When a backend is asked again after its stream ended or failed."),
  })
  .superRefine(({ redial: { min, max } }, ctx) => {
    if (min > max)
      ctx.addIssue({ code: "custom", path: ["redial", "min"], message: "expected at most redial.max" });
  });

/** A route's `shared` after validation. */
export type SharedConfig = z.output<typeof sharedSchema>;
export type RedialConfig = SharedConfig["redial"];

/** The key's parts if a route names none. */
export const DEFAULT_KEY: readonly string[] = ["path", "query"];

interface SharingRoute {
  readonly match: Pick<RouteMatch, "path" | "methods" | "header" | "query">;
  readonly auth?: unknown;
  readonly shared?: SharedConfig | undefined;
  readonly limits: { readonly tokens: readonly unknown[] };
}

/** Returns the parts of a request that its route's conditions read. */
function conditionParts({ header = {}, query }: SharingRoute["match"]): readonly string[] {
  const fields = Object.keys(header).map((name) => `header:${name.toLowerCase()}`);
  return query === undefined ? fields : ["query", ...fields];
}

/** Refuses a `shared` that could show a client the stream of another one, or that would never be used. */
export function refuseUnsafeSharing(route: SharingRoute, ctx: z.RefinementCtx): void {
  const { shared, match } = route;
  if (shared === undefined) return;
  const refuse = (path: PropertyKey[], message: string) => ctx.addIssue({ code: "custom", path, message });
  if (route.limits.tokens.length > 0) {
    refuse(
      ["limits", "tokens"],
      "expected no limit of tokens on a route with shared, whose streams belong to no single client; limit the route that asks the model",
    );
  }
  if (match.methods?.includes("GET") === false)
    refuse(["shared"], "only GET can be shared, and match.methods does not contain GET");
  if (route.auth !== undefined && shared.by === undefined) {
    refuse(
      ["shared"],
      "expected by, because the route has auth: by: [path, query, principal] gives each principal a stream of its own; by: [path, query] shows one stream to all clients that are accepted",
    );
  }
  const missing = conditionParts(match).filter((part) => !(shared.by ?? DEFAULT_KEY).includes(part));
  if (missing.length > 0) {
    const parts = [...new Set([...(shared.by ?? DEFAULT_KEY), ...missing])].join(", ");
    refuse(
      ["shared"],
      `expected by: [${parts}], because of match.header and match.query: the backend gets no other part of a request, and would not see the version`,
    );
  }
  if (match.path.endsWith("/*") && shared.by?.includes("path") === false) {
    refuse(["shared", "by"], "expected path in the list, because the route has many paths");
  }
}
