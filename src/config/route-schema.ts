import { METHODS } from "node:http";
import * as z from "zod";
import { pathFault } from "../http/routing-path.ts";
import { accessSchema } from "./access-schema.ts";
import { authSchema } from "./auth-schema.ts";
import { heartbeatSchema } from "./heartbeat-schema.ts";
import { limitsSchema } from "./limits-schema.ts";
import { llmSchema } from "./llm-schema.ts";
import { mockSchema } from "./mock-schema.ts";
import { suggestion } from "./nearest.ts";
import { refuseUnsafeResuming, resumeSchema } from "./resume-schema.ts";
import { rewriteSchema } from "./rewrite-schema.ts";
import {
  duration,
  durationOrOff,
  editableField,
  fieldValue,
  pathCharacters,
  size,
  token,
} from "./scalars.ts";
import { refuseUnsafeSharing, sharedSchema } from "./shared-schema.ts";
import { hasOneDestination, ONE_DESTINATION, stagesSchema } from "./stages-schema.ts";
import { refuseNarrowH2c, upgradeSchema, withWebSocket } from "./upgrade-schema.ts";
import { upstream } from "./upstream-schema.ts";
import { refuseUselessSticky } from "./useless-sticky.ts";
import { variablesSchema, withVariables } from "./variables.ts";

/** One route file: its keys, their defaults and their descriptions. The documents' tables are made from it. */

/** The media types whose responses are read while they are written. */
const STREAMED_TYPES = [
  "text/event-stream",
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/json-seq",
  "application/stream+json",
  "multipart/x-mixed-replace",
  "multipart/mixed",
  "application/grpc-web*",
  "application/connect+*",
  "application/vnd.amazon.eventstream",
  "text/x-component",
];

const EXPECTED_PATH = "expected a path such as /stream, or /chat/* for everything below it";

/**
 * The methods of Node's parser except those that are refused before routing; a route for another method would never
 * match.
 */
const ROUTED_METHODS = METHODS.filter((method) => method !== "TRACE" && method !== "CONNECT");

const routedMethod = z
  .string("expected a method such as GET")
  .meta({ pattern: "^[A-Z-]+$" })
  .superRefine((method, ctx) => {
    if (ROUTED_METHODS.includes(method)) return;
    const upper = method.toUpperCase();
    const hint = ROUTED_METHODS.includes(upper)
      ? `expected ${upper}; methods are compared with case`
      : `expected a method that can be routed, such as GET${suggestion(upper, ROUTED_METHODS)}`;
    ctx.addIssue(hint);
  });

const match = z.strictObject({
  path: z
    .string(EXPECTED_PATH)
    .regex(new RegExp(`^/(?:${pathCharacters}|(?:${pathCharacters}/)?\\*)$`), EXPECTED_PATH)
    .superRefine((path, ctx) => {
      const fault = pathFault(path);
      if (fault !== undefined) ctx.addIssue(`expected a path without ${fault}: such requests are refused`);
    })
    .describe("An exact path, or a prefix of whole segments: /chat/* is /chat and everything below it."),
  host: z
    .string()
    .regex(/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/, "expected a host name without a port")
    .toLowerCase()
    .optional()
    .describe("Match only requests for this host; case and port are ignored."),
  methods: z
    .array(routedMethod)
    .min(1, "expected at least one method")
    .optional()
    .describe("Match only these methods; GET includes HEAD. Without it, any method."),
});

const fieldEdits = z.strictObject({
  set: z
    .record(editableField, fieldValue)
    .prefault({})
    .describe("Fields to set; they replace fields of the same name."),
  remove: z.array(editableField).prefault([]).describe("Fields to remove."),
});

const requestEdits = fieldEdits.extend({
  via: z
    .enum(["on", "off"])
    .prefault("off")
    .describe(
      "Add the version of the client's HTTP and the name sluice to Via (RFC 9110 section 7.6.3). A backend nginx does not compress its responses to requests with Via, unless gzip_proxied allows it.",
    ),
});

const responseEdits = fieldEdits.extend({
  accel: z
    .boolean()
    .prefault(false)
    .describe(
      "Forward all X-Accel-* fields of the backend to an nginx in front; X-Accel-Buffering always passes.",
    ),
});

const stream = z.strictObject({
  heartbeat: heartbeatSchema
    .prefault("15s")
    .describe(
      "Send a comment line after this much silence; or { every: 15s, event: ping }, an event instead; or off. It hides a frozen backend from all others: see idleTimeout.",
    ),
  comments: z
    .enum(["auto", "on", "off"])
    .prefault("auto")
    .describe(
      "Comment lines of sluice. auto: the prelude only if no event came within a second, and no added line for Google's SDKs (X-Goog-Api-Client), which cannot read them. on: for all clients, the prelude directly after the head. off: none.",
    ),
  prelude: z.boolean().prefault(true).describe("Send one comment line before the first event: see comments."),
  retry: z
    .union([z.null(), duration], "expected a duration such as 3s, or null")
    .prefault(null)
    .describe("Send this reconnection time before the first event."),
  padding: size
    .prefault(0)
    .describe("Bytes of comment to send after the head; 2k helps old XHR polyfills and antivirus proxies."),
  idleTimeout: durationOrOff
    .prefault("off")
    .describe(
      "Abort the stream after this much silence of the backend. Without it, heartbeats keep the stream of a frozen backend open for ever.",
    ),
  maxDuration: durationOrOff
    .prefault("off")
    .describe(
      "End the stream after 80 to 100 % of this time, drawn at random for each stream: between two events if the request is a GET that accepts text/event-stream; any other is aborted.",
    ),
  clientBuffer: size
    .prefault("256k")
    .describe(
      "The maximum number of bytes buffered for a slow client; the backend is not read while the buffer is full.",
    ),
  sendTimeout: durationOrOff
    .prefault("60s")
    .describe(
      "End the stream (slow_client) if bytes are pending and the client took none of them for this long.",
    ),
  onClientGone: z
    .enum(["cancel", "drain"])
    .prefault("cancel")
    .describe("When the client leaves: cancel the backend request, or read it to its end."),
  onRefusal: z
    .enum(["status", "retry"])
    .prefault("status")
    .describe(
      "The response to a GET for text/event-stream in case of 429, 502, 503 or 504: that status, or (retry) a 200 that sends a reconnection time and ends at once, because an EventSource does not reconnect after any other status.",
    ),
  contentTypes: z
    .array(
      z
        .string()
        .regex(
          /^(?:\*|[\w.+-]+\/[\w.+-]+\*?)$/,
          "expected a media type such as application/x-ndjson, the beginning of media types such as application/grpc-web*, or *",
        )
        .toLowerCase(),
    )
    .prefault([...STREAMED_TYPES])
    .describe(
      "The media types of responses that are relayed as streams; a final * matches any ending, and * alone any response. A response with a Content-Length is a stream only if it is text/event-stream.",
    ),
});

const EXPECTED_ORIGIN =
  "expected *, null, an origin such as https://app.example.com, or https://*.example.com";

const PLAIN_ORIGIN = /^https?:\/\/(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(?::\d+)?$/;

const allowedOrigin = z
  .string(EXPECTED_ORIGIN)
  .meta({ pattern: "^(\\*|null|https?://(\\*\\.)?[^/?#@*A-Z]+)$" })
  .superRefine((text, ctx) => {
    if (text === "*" || text === "null") return;
    const plain = text.replace(/^(https?:\/\/)\*\./, "$1wildcard.");
    // As browsers write an origin: without a path or a default port, and with the host in lower case.
    const isOrigin = URL.canParse(plain) && new URL(plain).origin === plain;
    // The URL parser accepts * as a letter, and `https://*.` would match every name that ends with a dot.
    if (!isOrigin || !PLAIN_ORIGIN.test(plain)) ctx.addIssue(EXPECTED_ORIGIN);
  });

const tokens = z.array(token);

const corsObject = z
  .strictObject({
    allowOrigins: z
      .array(allowedOrigin)
      .min(1, "expected at least one origin")
      .describe("Exact origins, https://*.example.com for any subdomain, or *."),
    allowMethods: tokens
      .prefault(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
      .describe("Methods a page may use."),
    allowHeaders: tokens
      .optional()
      .describe(
        "Fields a page may send; Last-Event-ID and Cache-Control are always allowed. Without it, all that a preflight asks for.",
      ),
    exposeHeaders: tokens
      .optional()
      .describe(
        "Fields a page may read. Without it X-Request-Id, Mcp-Session-Id, Retry-After and those of limits.tokens; without allowCredentials all (*).",
      ),
    allowCredentials: z.boolean().prefault(false).describe("Let the browser send cookies; not with *."),
    maxAge: duration.prefault("10m").describe("How long a browser may remember a preflight."),
    allowPrivateNetwork: z
      .boolean()
      .prefault(false)
      .describe("Answer Access-Control-Request-Private-Network."),
  })
  .superRefine((cors, ctx) => {
    if (!cors.allowCredentials) return;
    for (const key of ["allowOrigins", "allowHeaders", "allowMethods", "exposeHeaders"] as const) {
      if (cors[key]?.includes("*"))
        ctx.addIssue({
          code: "custom",
          path: [key],
          message: "expected no * together with allowCredentials",
        });
    }
    if (cors.allowOrigins.includes("null")) {
      ctx.addIssue({
        code: "custom",
        path: ["allowOrigins"],
        message: "expected no null together with allowCredentials",
      });
    }
  });

const route = z.strictObject({
  match: match.describe("Which requests the route serves."),
  upstream: upstream.optional(),
  mock: mockSchema
    .optional()
    .describe(
      "Respond without a backend, instead of upstream: a fixed response, or a scripted event stream.",
    ),
  rewrite: rewriteSchema
    .prefault({})
    .describe("The path that the backend gets, and the URLs in its responses."),
  headers: z
    .strictObject({
      request: requestEdits.prefault({}).describe("Fields of the request to the backend."),
      response: responseEdits.prefault({}).describe("Fields of the response to the client."),
    })
    .prefault({})
    .describe("Header fields to set and remove."),
  stream: stream.prefault({}).describe("How event streams are relayed."),
  shared: sharedSchema
    .optional()
    .describe(
      "One backend request for all clients that ask for the same stream, with a history to resume from.",
    ),
  resume: resumeSchema
    .optional()
    .describe(
      "Keep the streamed answer to a POST that names itself, so that its client can come back for it after a lost connection.",
    ),
  llm: llmSchema
    .optional()
    .describe(
      "Metrics and log fields for the answers of language models: tokens, and time to the first one.",
    ),
  cors: z
    .union([z.boolean(), corsObject], "expected true, or an object with allowOrigins")
    .prefault(false)
    .describe(
      "Cross-origin access. true: any origin, no credentials, preflights answered as by an API gateway's CORS switch.",
    ),
  auth: authSchema
    .optional()
    .describe("The credentials that the route accepts. Without it, no credential is required."),
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
export type RouteInput = z.input<typeof route>;

/** The schema of a route file; its `#Name#` variables are filled in before validation. */
export const routeSchema = z.preprocess(
  withVariables,
  route
    .refine(hasOneDestination, ONE_DESTINATION)
    .superRefine(refuseUnsafeSharing)
    .superRefine(refuseUnsafeResuming)
    .superRefine(refuseNarrowH2c)
    .superRefine(refuseUselessSticky)
    .transform(withWebSocket),
);

/** A route file after validation: every default filled in, durations in milliseconds, sizes in bytes. */
export type RouteFile = z.output<typeof routeSchema>;
export type RouteMatch = RouteFile["match"];
export type StreamConfig = RouteFile["stream"];
export type CorsConfig = Exclude<RouteFile["cors"], boolean>;

/** A route: its file after validation, and the file's name without its ending. */
export interface RouteConfig extends RouteFile {
  readonly name: string;
  /** The path of its file, as problems name it; undefined if it came from a flag or an object. */
  readonly file?: string;
}
