import * as z from "zod";
import { accessSchema } from "./access-schema.ts";
import { authSchema } from "./auth-schema.ts";
import { corsSchema } from "./cors-schema.ts";
import { headersSchema } from "./headers-schema.ts";
import { limitsSchema } from "./limits-schema.ts";
import { llmSchema } from "./llm-schema.ts";
import { matchSchema } from "./match-schema.ts";
import { mockSchema } from "./mock-schema.ts";
import { refuseUnsafeResuming, resumeSchema } from "./resume-schema.ts";
import { rewriteSchema } from "./rewrite-schema.ts";
import { orOff } from "./scalars.ts";
import { refuseUnsafeSharing, sharedSchema } from "./shared-schema.ts";
import { hasOneDestination, ONE_DESTINATION, stagesSchema } from "./stages-schema.ts";
import { streamSchema } from "./stream-schema.ts";
import { refuseNarrowH2c, upgradeSchema, withWebSocket } from "./upgrade-schema.ts";
import { upstream } from "./upstream-schema.ts";
import { refuseUselessSticky } from "./useless-sticky.ts";
import { variablesSchema, withVariables } from "./variables.ts";

/** One route file: its keys, their defaults and their descriptions. The documents' tables are made from it. */

/** The keys of a route file, without the rules between them. */
export const routeObject = z.strictObject({
  match: matchSchema.describe("Which requests the route serves."),
  upstream: upstream.optional(),
  mock: mockSchema
    .optional()
    .describe(
      "Respond without a backend, instead of upstream: a fixed response, or a scripted event stream.",
    ),
  rewrite: rewriteSchema
    .prefault({})
    .describe("The path that the backend gets, and the URLs in its responses."),
  headers: headersSchema.prefault({}).describe("Header fields to set and remove."),
  stream: streamSchema.prefault({}).describe("How event streams are relayed."),
  shared: orOff(sharedSchema).describe(
    "One backend request for all clients that ask for the same stream, with a history to resume from.",
  ),
  resume: orOff(resumeSchema).describe(
    "Keep the streamed answer to a POST that names itself, so that its client can come back for it after a lost connection.",
  ),
  llm: orOff(llmSchema).describe(
    "Metrics and log fields for the answers of language models: tokens, and time to the first one.",
  ),
  cors: z
    .union([z.boolean(), corsSchema], "expected true, or an object with allowOrigins")
    .prefault(false)
    .describe(
      "Cross-origin access. true: any origin, no credentials, preflights answered as by an API gateway's CORS switch.",
    ),
  auth: orOff(authSchema).describe(
    "The credentials that the route accepts. Without it, no credential is required.",
  ),
  access: accessSchema.prefault({}).describe("The client addresses that may use the route; 403 for others."),
  limits: limitsSchema.prefault({}).describe("Rates and counts; a refusal has Retry-After."),
  stages: stagesSchema.describe(
    "Further environments of the route, by the name in a request's X-Stage. Without upstream and mock, an environment uses the route's, with its own variables.",
  ),
  variables: variablesSchema,
  debug: z
    .boolean()
    .prefault(false)
    .describe("Explain errors in the body for requests with X-Apig-Mode: debug. Not for production."),
  websocket: z.boolean().prefault(false).describe("Forward WebSocket upgrades whose Origin is allowed."),
  upgrade: upgradeSchema,
});

/** A route file before validation. */
export type RouteInput = z.input<typeof routeObject>;

/** The schema of a route file; its `#Name#` variables are filled in before validation. */
export const routeSchema = z.preprocess(
  withVariables,
  routeObject
    .refine(hasOneDestination, ONE_DESTINATION)
    .superRefine(refuseUnsafeSharing)
    .superRefine(refuseUnsafeResuming)
    .superRefine(refuseNarrowH2c)
    .superRefine(refuseUselessSticky)
    .transform(withWebSocket),
);

/** A route file after validation: every default filled in, durations in milliseconds, sizes in bytes. */
export type RouteFile = z.output<typeof routeSchema>;
export type StreamConfig = RouteFile["stream"];
export type CorsConfig = Exclude<RouteFile["cors"], boolean>;

/** A route: its file after validation, and the file's name without its ending. */
export interface RouteConfig extends RouteFile {
  readonly name: string;
  /** The path of its file, as problems name it; undefined if it came from a flag or an object. */
  readonly file?: string;
  /**
   * The request fields that decide whether this route serves a request, for Vary; undefined if there are none. They
   * depend on the other routes too.
   */
  readonly vary?: string;
}
