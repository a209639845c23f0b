import { METHODS } from "node:http";
import * as z from "zod";
import { pathFault } from "../http/routing-path.ts";
import { accessSchema } from "./access-schema.ts";
import { authSchema } from "./auth-schema.ts";
import { limitsSchema } from "./limits-schema.ts";
import { mockSchema } from "./mock-schema.ts";
import { suggestion } from "./nearest.ts";
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
import { upstream } from "./upstream-schema.ts";
import { variablesSchema, withVariables } from "./variables.ts";

/** One route file: the only home of its keys, their defaults and their prose. */

const EXPECTED_PATH = "expected a path such as /stream, or /chat/* for everything below it";

/** What Node's parser takes, less what is refused before routing; any other method would never match. */
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
    .describe("An exact path, or a prefix that ends at a segment border: /chat/* is /chat and all below it."),
  host: z
    .string()
    .regex(/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/, "expected a host name without a port")
    .toLowerCase()
    .optional()
    .describe("Only requests for this host, compared without case and port."),
  methods: z
    .array(routedMethod)
    .min(1, "expected at least one method")
    .optional()
    .describe("Only these methods; GET includes HEAD. Without it, any."),
});

const fieldEdits = z.strictObject({
  set: z
    .record(editableField, fieldValue)
    .prefault({})
    .describe("Fields to set, in place of any of that name."),
  remove: z.array(editableField).prefault([]).describe("Fields to remove."),
});

const responseEdits = fieldEdits.extend({
  accel: z
    .boolean()
    .prefault(false)
    .describe("Let the backend's X-Accel-* fields through to an nginx in front."),
});

const stream = z.strictObject({
  heartbeat: durationOrOff
    .prefault("15s")
    .describe("A comment line when the stream was silent that long; or off."),
  prelude: z.boolean().prefault(true).describe("One comment line right after the head."),
  retry: z
    .union([z.null(), duration], "expected a duration such as 3s, or null")
    .prefault(null)
    .describe("Send this reconnection time first."),
  padding: size
    .prefault(0)
    .describe("Bytes of comment after the head; 2k helps old XHR polyfills and antivirus proxies."),
  idleTimeout: durationOrOff.prefault("off").describe("Abort when the backend was silent that long."),
  maxDuration: durationOrOff
    .prefault("off")
    .describe("End the stream between two events after 80 to 100 % of this, drawn for each stream."),
  clientBuffer: size
    .prefault("256k")
    .describe(
      "The most that is held for a client that reads slowly; the backend is not read while it is full.",
    ),
  sendTimeout: durationOrOff
    .prefault("60s")
    .describe("End the stream (slow_client) when data waits and the client took none of it for that long."),
  onClientGone: z
    .enum(["cancel", "drain"])
    .prefault("cancel")
    .describe("When the client leaves: cancel the backend request, or read it to its end."),
  onRefusal: z
    .enum(["status", "retry"])
    .prefault("status")
    .describe(
      "What a GET for text/event-stream gets instead of 429, 502, 503 and 504: the status, or (retry) 200 with a reconnection time and an early end, because an EventSource never comes back after any other status.",
    ),
  contentTypes: z
    .array(
      z
        .string()
        .regex(/^[\w.+-]+\/[\w.+-]+$/, "expected a media type such as application/x-ndjson")
        .toLowerCase(),
    )
    .prefault(["text/event-stream"])
    .describe("The media types that are relayed as a stream."),
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
    // An origin as a browser writes it: no path, no default port, host in lower case.
    const isOrigin = URL.canParse(plain) && new URL(plain).origin === plain;
    // The URL parser takes a * for a letter, and `https://*.` would stand for every name with a last dot.
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
      .prefault([
        "Accept",
        "Authorization",
        "Cache-Control",
        "Content-Type",
        "Last-Event-ID",
        "X-Requested-With",
      ])
      .describe("Fields a page may send. Last-Event-ID and Cache-Control are always among them."),
    exposeHeaders: tokens.prefault(["X-Request-Id"]).describe("Fields a page may read."),
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
      if (cors[key].includes("*"))
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
  match: match.describe("Which requests are this route's."),
  upstream: upstream.optional(),
  mock: mockSchema
    .optional()
    .describe("An answer without a backend, in place of upstream: fixed, or a scripted event stream."),
  rewrite: rewriteSchema.prefault({}).describe("The path that the backend sees."),
  headers: z
    .strictObject({
      request: fieldEdits.prefault({}).describe("Fields of the request, on the way to the backend."),
      response: responseEdits.prefault({}).describe("Fields of the response, on the way to the client."),
    })
    .prefault({})
    .describe("Header fields to set and remove."),
  stream: stream.prefault({}).describe("How event streams are relayed."),
  shared: sharedSchema
    .optional()
    .describe(
      "One backend request for all clients that ask for the same stream, with a history to resume from.",
    ),
  cors: z
    .union([z.boolean(), corsObject], "expected true, or an object with allowOrigins")
    .prefault(false)
    .describe(
      "Cross-origin access. true: any origin, no credentials, the preflight answered as an API gateway's switch does.",
    ),
  auth: authSchema.optional().describe("Which credentials open the route. Without it, none is asked for."),
  access: accessSchema.prefault({}).describe("Which client addresses may come in; 403 for others."),
  limits: limitsSchema.prefault({}).describe("How often and how many; Retry-After says when to come back."),
  stages: stagesSchema.describe(
    "Other places for the same route, by the name that a request gives in X-Stage. Without upstream and mock, a stage goes where the route goes, with its own variables.",
  ),
  variables: variablesSchema,
  debug: z
    .boolean()
    .prefault(false)
    .describe(
      "Say in an error's body what was wrong, to requests with X-Apig-Mode: debug. Not for production.",
    ),
  websocket: z
    .boolean()
    .prefault(false)
    .describe("Pass WebSocket upgrades on, when their Origin is allowed."),
});

/** A route file; its variables are filled in before it is looked at. */
/** A route file as it is written. */
export type RouteInput = z.input<typeof route>;

export const routeSchema = z.preprocess(
  withVariables,
  route.refine(hasOneDestination, ONE_DESTINATION).superRefine(refuseUnsafeSharing),
);

/** A route file after validation: every default filled in, durations in milliseconds, sizes in bytes. */
export type RouteFile = z.output<typeof routeSchema>;
export type RouteMatch = RouteFile["match"];
export type StreamConfig = RouteFile["stream"];
export type CorsConfig = Exclude<RouteFile["cors"], boolean>;

/** A route: its file, and the file's name without its ending. */
export interface RouteConfig extends RouteFile {
  readonly name: string;
  /** The path of its file, as problems name it; undefined when it came from elsewhere. */
  readonly file?: string;
}
