import * as z from "zod";
import { duration, durationOrOff, orOff } from "./scalars.ts";

/** The largest count that the API gateway's own policies take. */
const MAX_REQUESTS = 2 ** 31 - 1;
const DAY_MS = 86_400_000;
const MAX_POLICIES = 10;
const MAX_STREAMS = 1_000_000;

const EXPECTED_PERIOD = "expected whole seconds from 1s to 1d";

/** The requests of a rate in each window. */
export const rateRequests = z.int().min(1).max(MAX_REQUESTS);

/** The window of a rate, in ms after parsing. */
export const ratePeriod = duration.refine((ms) => ms % 1000 === 0 && ms <= DAY_MS, EXPECTED_PERIOD);

/** The maximum number of keys that a rate counts separately. */
export const rateKeys = z.int().min(1).max(1_000_000).prefault(50_000);

const rate = z.strictObject({
  requests: rateRequests.describe("Requests in each window; the next request gets 429."),
  per: ratePeriod.describe("The length of a window, 1s to 1d; it begins with the first request."),
  by: z
    .enum(["app", "ip", "route"])
    .prefault("route")
    .describe(
      "Which requests are counted together: those of one app (or other credential), of one client address, or all. A request without a credential counts for its address.",
    ),
  maxKeys: rateKeys.describe(
    "The maximum number of apps or addresses that are counted separately; further ones share one count.",
  ),
});

/** A count of tokens. A day of a large service has some 10^11 tokens; sums of this many stay exact. */
const tokenCount = z.int().min(1).max(1e12);

/** The tokens that a request takes before its usage is known: a short prompt with an answer of a page. */
const DEFAULT_RESERVE = 2000;

const tokenLimit = z
  .strictObject({
    tokens: tokenCount.describe(
      "Tokens in each window, input and output together; the next request gets 429.",
    ),
    per: ratePeriod.describe("The length of a window, 1s to 1d; it begins with the first request."),
    by: z
      .enum(["app", "principal", "ip", "route"])
      .prefault("route")
      .describe(
        "Which requests are counted together: those of one app, of one credential's owner, of one client address, or all. A credential without an app counts for its owner, a request without a credential for its address.",
      ),
    reserve: tokenCount
      .optional()
      .describe(
        "Tokens that a request takes before its usage is known, and at least what an answer without usage costs; 2000, or tokens if that is less.",
      ),
    maxKeys: rateKeys.describe(
      "The maximum number of apps, owners or addresses that are counted separately; further ones share one count.",
    ),
  })
  .superRefine(({ tokens, reserve }, ctx) => {
    if (reserve !== undefined && reserve > tokens)
      ctx.addIssue({
        code: "custom",
        path: ["reserve"],
        message: `expected at most tokens, ${tokens}: with more, every request would be refused`,
      });
  })
  .transform(({ reserve, ...limit }) => ({
    ...limit,
    reserve: reserve ?? Math.min(DEFAULT_RESERVE, limit.tokens),
  }));

const streams = z.int().min(1).max(MAX_STREAMS);
const EXPECTED_STREAMS = `expected a whole number from 1 to ${MAX_STREAMS}, or off`;

export const limitsSchema = z.strictObject({
  rate: z
    .union([rate, z.array(rate).max(MAX_POLICIES)], "expected { requests, per, by }, or a list of these")
    .transform((value) => (Array.isArray(value) ? value : [value]))
    .prefault([])
    .describe("Request rates, each { requests, per, by }; every rate of a list applies."),
  tokens: z
    .union(
      [tokenLimit, z.array(tokenLimit).max(MAX_POLICIES)],
      "expected { tokens, per, by, reserve }, or a list of these",
    )
    .transform((value) => (Array.isArray(value) ? value : [value]))
    .prefault([])
    .describe(
      "Tokens of language models, each { tokens, per, by, reserve }; every limit of a list applies. The answers are read as with llm.",
    ),
  streams: orOff(streams, EXPECTED_STREAMS).describe(
    "Event streams open at a time on this route; 503 beyond.",
  ),
  streamsPerClient: orOff(streams, EXPECTED_STREAMS).describe(
    "Event streams open at a time for one client address; 429 beyond.",
  ),
  bodyTimeout: orOff(duration, "expected a duration such as 15s, or off").describe(
    "How long a client may pause while sluice waits for its request body; then 408. Without it, or with off, limits.bodyTimeout of sluice.yaml applies.",
  ),
  halfCloseTimeout: durationOrOff
    .prefault("60s")
    .describe(
      "How long a connection may stay silent after one side has ended its half of it: a client that still reads its response, or either side of a tunnel. Then it is aborted.",
    ),
});

export type LimitsConfig = z.output<typeof limitsSchema>;
export type RateConfig = LimitsConfig["rate"][number];
export type TokenLimitConfig = LimitsConfig["tokens"][number];
