import * as z from "zod";
import { clientHeaderPart, keyPartPattern } from "./key-part-schema.ts";
import { duration, size, token } from "./scalars.ts";

/** The `resume` of a route: answers to named requests survive a lost client. */

const EXPECTED_PART = "expected principal or header:NAME";

const MAX_ANSWERS = 1_000_000;

const keyPart = z
  .string(EXPECTED_PART)
  .meta({ pattern: keyPartPattern("principal") })
  .transform((part, ctx) => (part === "principal" ? part : clientHeaderPart(part, EXPECTED_PART, ctx)));

/** Fields that mean something else; a request would be named without having been asked to be. */
const TAKEN =
  /^(?:accept.*|authorization|connection|content-.*|cookie|expect|host|keep-alive|last-event-id|origin|proxy-.*|range|referer|te|trailer|transfer-encoding|upgrade|user-agent|forwarded|x-forwarded-.*|x-real-ip|x-request-id|x-stage)$/i;

export const resumeSchema = z.strictObject({
  by: z
    .array(keyPart)
    .min(1, EXPECTED_PART)
    .optional()
    .describe(
      "Whose answers are kept apart: principal, header:NAME. [principal] by default; required on a route without auth. On a route with auth the principal always counts.",
    ),
  key: token
    .refine((name) => !TAKEN.test(name), "expected a field that names the request, such as Idempotency-Key")
    .prefault("Idempotency-Key")
    .describe("The field in which a client names its request; a request without it is served as usual."),
  grace: duration
    .prefault("60s")
    .describe("How long an answer goes on without a client; then its backend request is cancelled."),
  keep: duration.prefault("10m").describe("How long an answer can be had again after its end."),
  bytes: size
    .refine((bytes) => bytes >= 1024, "expected a size of at least 1k")
    .prefault("4m")
    .describe("The maximum number of bytes kept of one answer; beyond it, its beginning is gone (410)."),
  answers: z
    .int()
    .min(1)
    .max(MAX_ANSWERS)
    .prefault(1000)
    .describe("Answers of this route kept at a time; further ones are served, but not kept."),
  answersPerClient: z
    .int()
    .min(1)
    .max(MAX_ANSWERS)
    .prefault(20)
    .describe("The same for one client, as by tells clients apart."),
  ids: z
    .enum(["auto", "never"])
    .prefault("auto")
    .describe(
      "Event ids to resume from. auto: the backend's, and sluice's for events without one; never: the bytes stay as they are, and a client without an id of the backend starts again.",
    ),
});

/** A route's `resume` after validation. */
export type ResumeConfig = z.output<typeof resumeSchema>;

/** The methods of named requests: POST asks, GET attaches, DELETE cancels. */
const METHODS = ["POST", "GET", "DELETE"] as const;

interface ResumingRoute {
  readonly match: { readonly methods?: readonly string[] | undefined };
  readonly auth?: unknown;
  readonly mock?: unknown;
  readonly shared?: unknown;
  readonly resume?: ResumeConfig | undefined;
}

/** Refuses a `resume` that could show a client the answer of another one, or that could not work. */
export function refuseUnsafeResuming(route: ResumingRoute, ctx: z.RefinementCtx): void {
  const { resume, match, auth } = route;
  if (resume === undefined) return;
  const refuse = (path: PropertyKey[], message: string) => ctx.addIssue({ code: "custom", path, message });
  const missing = METHODS.filter((method) => match.methods?.includes(method) === false);
  if (missing.length > 0) {
    const needs = "POST asks, GET attaches to an answer, DELETE cancels it";
    refuse(
      ["match", "methods"],
      `expected ${missing.join(" and ")} in the list, because of resume: ${needs}`,
    );
  }
  if (route.shared !== undefined)
    refuse(
      ["resume"],
      "expected no resume beside shared: a GET cannot be both; give POST a route of its own",
    );
  if (route.mock !== undefined)
    refuse(["resume"], "expected no resume beside mock: only the answer of a backend is kept");
  if (auth !== undefined) return;
  if (resume.by === undefined) {
    refuse(
      ["resume"],
      "expected by, because the route has no auth: by: [header:NAME] keeps clients apart that a trusted part in front names in that field",
    );
  }
  if (resume.by?.includes("principal") === true)
    refuse(["resume", "by"], "expected header:NAME, because the route has no auth and so no principal");
}
