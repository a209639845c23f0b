import * as z from "zod";
import { type RateConfig, rateKeys, ratePeriod, rateRequests } from "./limits-schema.ts";
import { duration, size } from "./scalars.ts";

/** The `limits` of sluice.yaml: what clients may use of this process, and what one request may be. */

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
          .describe("How many wrong credentials; the next request with a credential is answered 429."),
        per: ratePeriod
          .prefault("1m")
          .describe("In how long: 1s to 1d, counted from the first wrong credential."),
        maxKeys: rateKeys.describe("How many addresses are told apart at a time."),
      }),
    ],
    "expected { requests, per }, or off",
  )
  .transform((value): RateConfig | undefined => (value === "off" ? undefined : { ...value, by: "ip" }))
  .prefault({});

export const serverLimits = z
  .strictObject({
    connections: countAutoOrOff.describe(
      "Client connections open at a time; 503 beyond. auto: what the open-file limit carries.",
    ),
    streams: countAutoOrOff.describe(
      "Event streams open at a time over all routes; 503 beyond. auto: what the open-file limit carries.",
    ),
    streamsPerClient: z
      .union([z.literal("off"), count], EXPECTED_COUNT)
      .transform((value) => (value === "off" ? undefined : value))
      .prefault("off")
      .describe("Event streams open at a time for one client address over all routes; 429 beyond."),
    headerBytes: size.prefault("16k").describe("Request line and header fields together; 431 or 414 beyond."),
    headers: z.int().min(1).max(2000).prefault(100).describe("Header fields of a request; 431 beyond."),
    bodyBytes: size
      .prefault("12m")
      .describe("The longest body that is read whole, where a route's policy must see it; 413 beyond."),
    bodiesBytes: size
      .prefault("128m")
      .describe(
        "What all bodies that are read whole may take together in one process, at least bodyBytes; 503 beyond.",
      ),
    signedParameters: z
      .int()
      .min(1)
      .max(10_000)
      .prefault(256)
      .describe("Query parameters of a request with an APP signature; 400 beyond."),
    failedAuth: failedAuth.describe(
      "Wrong credentials of one client address; 429 beyond, before the next one is checked. Expired ones are not counted. off: no limit.",
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
        "The memory that all histories of shared streams may take together, events and what goes with them; those used least recently give way.",
      ),
    passes: z
      .int()
      .min(1)
      .max(100)
      .prefault(8)
      .describe(
        "How often one request may be sent to backends, where one of them calls back through the gateway; 508 beyond, and at once for the same request on the same route.",
      ),
    requestTimeout: duration
      .prefault("60s")
      .describe("Until a request, head and body, has come in whole; 408 after. It never bounds a response."),
  })
  .prefault({})
  .describe("What clients may use of this process, and what a request may be at most.");

export type ServerLimits = z.output<typeof serverLimits>;
