import * as z from "zod";
import { type RateConfig, rateKeys, ratePeriod, rateRequests } from "./limits-schema.ts";
import { duration, size } from "./scalars.ts";

/** The `limits` of sluice.yaml: what clients may use of this process, and the bounds of one request. */

const MAX_COUNT = 10_000_000;
const EXPECTED_AUTO = "expected a count, auto or off";
const EXPECTED_COUNT = "expected a count or off";

const count = z.int().min(1).max(MAX_COUNT);

const countAutoOrOff = z
  .union([z.enum(["auto", "off"]), count], EXPECTED_AUTO)
  .transform((value) => (value === "off" ? undefined : value))
  .prefault("auto");

const failedAuth = z
  .union(
    [
      z.literal("off"),
      z.strictObject({
        requests: rateRequests
          .prefault(100)
          .describe("Wrong credentials in each window; the next request with a credential gets 429."),
        per: ratePeriod
          .prefault("1m")
          .describe("The length of a window, 1s to 1d; it begins with the first wrong credential."),
        maxKeys: rateKeys.describe("The maximum number of addresses that are counted separately."),
      }),
    ],
    "expected { requests, per }, or off",
  )
  .transform((value): RateConfig | undefined => (value === "off" ? undefined : { ...value, by: "ip" }))
  .prefault({});

export const serverLimits = z
  .strictObject({
    connections: countAutoOrOff.describe(
      "Client connections open at a time; 503 beyond. auto: as many as the open-file limit allows.",
    ),
    streams: countAutoOrOff.describe(
      "Event streams open at a time on all routes together; 503 beyond. auto: as many as the open-file limit allows.",
    ),
    streamsPerClient: z
      .union([z.literal("off"), count], EXPECTED_COUNT)
      .transform((value) => (value === "off" ? undefined : value))
      .prefault("off")
      .describe("Event streams open at a time for one client address on all routes together; 429 beyond."),
    headerBytes: size.prefault("16k").describe("Request line and header fields together; 431 or 414 beyond."),
    headers: z.int().min(1).max(2000).prefault(100).describe("Header fields of a request; 431 beyond."),
    bodyBytes: size
      .prefault("12m")
      .describe(
        "The longest body that is buffered, for a route whose policy must see all of it; 413 beyond.",
      ),
    bodiesBytes: size
      .prefault("128m")
      .describe("Memory for all buffered bodies together in one process, at least bodyBytes; 503 beyond."),
    signedParameters: z
      .int()
      .min(1)
      .max(10_000)
      .prefault(256)
      .describe("Query parameters of a request with an APP signature; 400 beyond."),
    failedAuth: failedAuth.describe(
      "Wrong credentials of one client address; 429 beyond, before the next credential is checked. Expired credentials do not count. off: no limit.",
    ),
    signatures: z
      .int()
      .min(1)
      .max(MAX_COUNT)
      .prefault(100_000)
      .describe("Signatures remembered at a time for auth.app.replay: reject; 429 for a new one beyond."),
    historyBytes: size
      .prefault("256m")
      .describe(
        "Memory for all histories of shared streams and named answers together, with everything that belongs to them; beyond it the least recently used history evicts events.",
      ),
    passes: z
      .int()
      .min(1)
      .max(100)
      .prefault(8)
      .describe(
        "How often one request may pass through the gateway, if a backend sends it back to it; 508 beyond, and at once if the same request comes to the same route again.",
      ),
    requestTimeout: duration.prefault("60s").describe("The time to receive the head of a request; then 408."),
    bodyTimeout: duration
      .prefault("60s")
      .describe(
        "How long a client may pause while sluice waits for its request body; then 408. It does not count once the response has begun.",
      ),
  })
  .prefault({})
  .describe("What clients may use of this process, and the bounds of a request.");

export type ServerLimits = z.output<typeof serverLimits>;
