import * as z from "zod";
import { SORTS } from "../admin/streams.ts";
import { fieldValue, token } from "../config/scalars.ts";
import { isBackendName } from "../limits/counter-store.ts";
import { BACKEND_HEALTH } from "../runtime/backend-states.ts";
import type { CounterCalls, PrimaryCalls, WorkerCalls } from "./calls.ts";

/**
 * The schemas of all messages between the processes of a gateway. They are needed because a worker that is
 * restarted after an update of the files on disk is newer than its primary.
 *
 * Calls for each connection, request or stream are checked by hand, because schemas are slower.
 */

/** Whether a value has the form that this version reads. */
export type Check = (value: unknown) => boolean;

/** The checks of a call's argument and answer. */
export interface CallChecks {
  readonly argument: Check;
  readonly answer: Check;
}

/** The checks of all calls that one end answers. */
export type ChecksOf<Calls> = { readonly [Name in keyof Calls]: CallChecks };

const MAX_TEXT = 16 * 1024;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
const isText: Check = (value) => typeof value === "string" && value.length <= MAX_TEXT;
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isLimit: Check = (value) => value === undefined || isCount(value);
const isAny: Check = () => true;
const isNothing: Check = (value) => value === undefined;

/** Creates a check from a schema. */
const fits =
  (schema: z.ZodType): Check =>
  (value) =>
    schema.safeParse(value).success;

const SIGNATURE_USES: ReadonlySet<unknown> = new Set(["new", "seen", "full"]);

const isRateKey: Check = (value) => {
  if (!isObject(value) || !isText(value["route"]) || !isText(value["key"])) return false;
  const { config, amount } = value;
  if (!isObject(config) || !isLimit(amount)) return false;
  const { requests, per, by, maxKeys } = config;
  return [requests, per, maxKeys].every((count) => isCount(count) && count !== 0) && isText(by);
};

const isWindowCount: Check = (value) =>
  isObject(value) &&
  typeof value["isOver"] === "boolean" &&
  Number.isFinite(value["remaining"]) &&
  Number.isFinite(value["msLeft"]);

const isStreamEntry: Check = (value) => {
  if (!isObject(value) || !isCount(value["id"]) || !isText(value["place"])) return false;
  const { limits, address } = value;
  return (
    isObject(limits) && isLimit(limits["streams"]) && isLimit(limits["streamsPerClient"]) && isText(address)
  );
};

const isSessionKey: Check = (value) => {
  if (!isObject(value) || !isText(value["route"]) || !isText(value["environment"])) return false;
  const { bounds } = value;
  return (
    isText(value["session"]) && isObject(bounds) && isCount(bounds["maxKeys"]) && isCount(bounds["expires"])
  );
};

const isBackend: Check = (value) => typeof value === "string" && isBackendName(value);

const fields = z.array(z.tuple([token, fieldValue])).max(64);
const issued = z.object({
  path: z.string(),
  expiresAt: z.number(),
  principal: z.object({
    app: fieldValue.optional(),
    key: z.string(),
    fields,
    expiresAt: z.number().optional(),
  }),
});
const ticketKey = { route: z.string(), hash: z.string().max(256) };

/** The code may be from a newer version; `PrimaryCounterStore` then uses one that it knows. */
const noPlace = z.object({ code: z.string().max(64), detail: z.string(), fields });

const signature = z.object({
  signature: z.instanceof(Uint8Array).refine(({ length }) => length <= MAX_TEXT),
  expiresAt: z.number(),
  now: z.number(),
});

export const COUNTER_CHECKS: ChecksOf<CounterCalls> = {
  countConnections: { argument: isCount, answer: isCount },
  admit: { argument: fits(signature), answer: (value) => SIGNATURE_USES.has(value) },
  putTicket: {
    argument: fits(z.object({ ...ticketKey, issued, limit: z.int() })),
    answer: fits(z.number().optional()),
  },
  takeTicket: { argument: fits(z.object(ticketKey)), answer: fits(issued.optional()) },
  countRequest: { argument: isRateKey, answer: isWindowCount },
  uncountRequest: { argument: isRateKey, answer: isNothing },
  enterStream: { argument: isStreamEntry, answer: (value) => value === undefined || fits(noPlace)(value) },
  leaveStream: { argument: isCount, answer: isNothing },
  findSession: { argument: isSessionKey, answer: (value) => value === undefined || isBackend(value) },
  putSession: {
    argument: (value) => isSessionKey(value) && isObject(value) && isBackend(value["backend"]),
    answer: isNothing,
  },
};

export const PRIMARY_CHECKS: ChecksOf<PrimaryCalls> = {
  ...COUNTER_CHECKS,
  up: { argument: isAny, answer: isAny },
  crashed: { argument: isAny, answer: isAny },
};

/** The primary has validated the configuration; a worker uses the keys that it knows. */
const config = z.object({
  server: z.object({ listen: z.array(z.unknown()), limits: z.object({}), log: z.object({}) }),
  routes: z.array(z.object({ name: z.string() })),
  apps: z.array(z.object({ name: z.string() })),
});

const streamQuery = z.object({
  offset: z.int().min(0),
  limit: z.int().min(1),
  sort: z.enum(SORTS),
  route: z.string().optional(),
});

const viewQuery = streamQuery.extend({ endRoute: z.string().optional(), endReason: z.string().optional() });

const sample = z.object({
  at: z.number(),
  streams: z.number(),
  eventsPerSecond: z.number(),
  requestsPerSecond: z.number(),
});

const stream = z.object({
  id: z.string(),
  route: z.string(),
  path: z.string(),
  client: z.string(),
  app: z.string().optional(),
  backend: z.string().optional(),
  ageMs: z.number(),
  firstEventMs: z.number().optional(),
  events: z.number().optional(),
  eventsPerSecond: z.number().optional(),
  bytes: z.number(),
  pendingBytes: z.number(),
});

const streamPage = z.object({
  total: z.number(),
  offset: z.number(),
  limit: z.number(),
  streams: z.array(stream),
});

const counts = z.record(z.string(), z.number());
const incident = z.object({ count: z.number(), lastAt: z.number() });

const view = z.object({
  incidents: z.object({ internal_error: incident, stall: incident, worker_died: incident }),
  routes: z.array(
    z.object({
      name: z.string(),
      path: z.string(),
      host: z.string().optional(),
      streams: z.number(),
      events: z.number(),
      eventsPerSecond: z.number(),
      requests: z.number(),
      failures: z.number(),
      answers: z
        .object({ running: z.number(), kept: z.number(), bytes: z.number(), resumes: counts })
        .optional(),
    }),
  ),
  routeCount: z.number(),
  backends: z.array(
    z.object({
      route: z.string(),
      backend: z.string(),
      state: z.enum(BACKEND_HEALTH),
      failing: z.object({ reason: z.string(), since: z.number() }).optional(),
      isOut: z.boolean(),
      isBackup: z.boolean(),
      inFlight: z.number(),
    }),
  ),
  backendCount: z.number(),
  backendsUp: z.number(),
  failures: z.array(
    z.object({
      route: z.string(),
      reason: z.string(),
      status: z.number(),
      total: z.number(),
      recent: z.number(),
      lastAt: z.number(),
    }),
  ),
  failureSums: z.object({ refused: z.number(), failed: z.number() }),
  unrecorded: counts,
  endCounts: counts,
  ends: z.array(z.object({ id: z.string(), route: z.string(), reason: z.string(), endedAt: z.number() })),
  streams: streamPage,
});

/** The format of `prom-client`; names and labels are those that the text format allows. */
const metricName = z.string().regex(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/);
const metric = z.object({
  name: metricName,
  help: z.string(),
  type: z.enum(["counter", "gauge", "histogram", "summary"]),
  aggregator: z.enum(["sum", "first", "min", "max", "average", "omit"]),
  values: z.array(
    z.object({
      value: z.union([z.number(), z.nan(), z.literal([Infinity, -Infinity])]),
      metricName: metricName.optional(),
      labels: z.record(z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/), z.union([z.string(), z.number()])),
    }),
  ),
});

export const WORKER_CHECKS: ChecksOf<WorkerCalls> = {
  start: {
    argument: fits(z.object({ config, worker: z.int() })),
    answer: fits(z.array(z.string())),
  },
  prepare: { argument: fits(config), answer: isAny },
  commit: { argument: isAny, answer: isAny },
  discard: { argument: isAny, answer: isAny },
  close: { argument: fits(z.object({ now: z.boolean() })), answer: isAny },
  status: {
    argument: isAny,
    answer: fits(z.object({ sample: sample.optional(), obstacles: z.array(z.string()) })),
  },
  view: { argument: fits(viewQuery), answer: fits(view) },
  listStreams: { argument: fits(streamQuery), answer: fits(streamPage) },
  endStreams: { argument: isText, answer: fits(z.boolean()) },
  metrics: { argument: isAny, answer: fits(z.array(metric)) },
};
