import * as z from "zod";
import { duration, size, token } from "./scalars.ts";

/** The `shared` of a route: one backend request for all clients that ask for the same stream. */

const EXPECTED_PART = "expected path, query, principal or header:NAME";
const HEADER = /^header:/i;

/** Fields that frame a request or are the gateway's to say: no client's word may go to a backend under them. */
const RESERVED =
  /^(?:accept-encoding|connection|content-.*|expect|host|keep-alive|last-event-id|proxy-.*|te|trailer|transfer-encoding|upgrade|forwarded|x-forwarded-.*|x-real-ip|x-request-id)$/i;

/** What two requests may differ in and still be the same stream, or not. */
const keyPart = z
  .string(EXPECTED_PART)
  .meta({ pattern: "^(path|query|principal|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+)$" })
  .superRefine((part, ctx) => {
    if (part === "path" || part === "query" || part === "principal") return;
    const name = part.replace(HEADER, "");
    if (!HEADER.test(part) || !token.safeParse(name).success) ctx.addIssue(EXPECTED_PART);
    else if (RESERVED.test(name)) ctx.addIssue(`expected a field that clients may choose, not ${name}`);
  })
  .transform((part) => (HEADER.test(part) ? `header:${part.replace(HEADER, "").toLowerCase()}` : part));

const history = z.strictObject({
  events: z.int().min(0).max(1_000_000).prefault(1000).describe("How many events are kept for each stream."),
  bytes: size.prefault("8m").describe("How many bytes of events are kept for each stream."),
  age: duration.prefault("10m").describe("How long an event is kept."),
});

const redial = z.strictObject({
  min: duration
    .prefault("500ms")
    .describe("The first wait before the backend is asked again; a retry: of its own stands in for it."),
  max: duration
    .prefault("30s")
    .describe("The longest wait; it doubles up to there, less up to a half, drawn."),
  maxRetryAfter: duration.prefault("5m").describe("The longest Retry-After that is honoured."),
});

export const sharedSchema = z
  .strictObject({
    by: z
      .array(keyPart)
      .min(1, EXPECTED_PART)
      .optional()
      .describe(
        "What makes two requests the same: path, query, principal, header:NAME. Without it path and query; a route with auth must say it. The backend sees nothing else of a client.",
      ),
    history: history.prefault({}).describe("What is kept for clients that come back."),
    ids: z
      .enum(["auto", "always", "never"])
      .prefault("auto")
      .describe(
        "Event ids: the backend's, and ours for events without one; ours in place of the backend's; or the backend's alone.",
      ),
    linger: duration
      .prefault("30s")
      .describe("Keep the backend request for that long after the last client has left."),
    onGap: z
      .enum(["signal", "close"])
      .prefault("signal")
      .describe("When events are lost to a client: tell it and go on, or tell it and end its stream."),
    polling: z
      .boolean()
      .prefault(true)
      .describe(
        "Answer polling and long polling from the same history: ?transport=, or Accept: application/json.",
      ),
    pollTimeout: duration
      .prefault("60s")
      .describe("The longest that a long poll may wait; 25s unless it says."),
    maxEvent: size
      .refine((bytes) => bytes >= 1024 && bytes <= 64 * 1024 ** 2, "expected a size from 1k to 64m")
      .prefault("1m")
      .describe("The longest event that is taken from a backend; event_too_large beyond."),
    channels: z
      .int()
      .min(1)
      .max(1_000_000)
      .prefault(1000)
      .describe("How many different streams of this route are open at a time; 429 beyond."),
    redial: redial.prefault({}).describe("How a backend that ended or failed is asked again."),
  })
  .superRefine(({ redial: { min, max } }, ctx) => {
    if (min > max)
      ctx.addIssue({ code: "custom", path: ["redial", "min"], message: "expected at most redial.max" });
  });

/** A route's `shared` after validation. */
export type SharedConfig = z.output<typeof sharedSchema>;
export type RedialConfig = SharedConfig["redial"];

/** What makes two requests the same where a route does not say. */
export const DEFAULT_KEY: readonly string[] = ["path", "query"];

interface SharingRoute {
  readonly match: { readonly path: string; readonly methods?: readonly string[] | undefined };
  readonly auth?: unknown;
  readonly shared?: SharedConfig | undefined;
}

/** Refuses what would let clients see each other's stream, or never be used. */
export function refuseUnsafeSharing(route: SharingRoute, ctx: z.RefinementCtx): void {
  const { shared, match } = route;
  if (shared === undefined) return;
  const refuse = (path: PropertyKey[], message: string) => ctx.addIssue({ code: "custom", path, message });
  if (match.methods?.includes("GET") === false)
    refuse(["shared"], "only GET is shared, which is not in match.methods");
  if (route.auth !== undefined && shared.by === undefined) {
    refuse(
      ["shared"],
      "with auth, expected by: one stream for each principal is by: [path, query, principal]; by: [path, query] shows one client's stream to all that are let in",
    );
  }
  if (match.path.endsWith("/*") && shared.by?.includes("path") === false) {
    refuse(["shared", "by"], "expected path among them, because the route has many paths");
  }
}
