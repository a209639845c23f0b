import * as z from "zod";
import { duration, fieldValue, token } from "./scalars.ts";
import { secret } from "./secret.ts";

/** The `tracing` of sluice.yaml: spans of OpenTelemetry for a receiver that speaks OTLP. */

const EXPECTED_URL = "expected a URL such as http://127.0.0.1:4318";

const EXPECTED_SHARE = "expected a number from 0 to 1";

/** The path of OTLP/HTTP for traces, for a URL without a path, as OpenTelemetry's own variables have it. */
const TRACES_PATH = "/v1/traces";

const MAX_QUEUE = 1_000_000;

const otlpUrl = z.string(EXPECTED_URL).transform((text, ctx) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    ctx.addIssue(EXPECTED_URL);
    return z.NEVER;
  }
  if (url.username !== "" || url.password !== "") {
    ctx.addIssue("expected a URL without credentials; they belong in headers");
    return z.NEVER;
  }
  if (url.pathname === "/") url.pathname = TRACES_PATH;
  return url.href;
});

const headerValue = secret.pipe(fieldValue);

const tracingObject = z.strictObject({
  otlp: otlpUrl.describe(
    "The receiver, which must speak OTLP over HTTP (protobuf). Without a path: /v1/traces is added.",
  ),
  sample: z
    .number(EXPECTED_SHARE)
    .min(0, EXPECTED_SHARE)
    .max(1, EXPECTED_SHARE)
    .prefault(1)
    .describe(
      "The share of traces that are recorded: 0.01 is one of a hundred. For a request with a context of a trusted proxy, that proxy has decided.",
    ),
  service: z
    .string()
    .regex(/^[\x20-\x7e]{1,128}$/, "expected a name of 1 to 128 characters of ASCII")
    .prefault("sluice")
    .describe("The name of this service in traces (service.name)."),
  headers: z
    .record(token, headerValue)
    .prefault({})
    .describe("Fields of the requests to the receiver, such as Authorization; values may be file:/path."),
  queue: z
    .int()
    .min(1)
    .max(MAX_QUEUE)
    .prefault(4096)
    .describe(
      "The maximum number of ended spans that are held until the receiver has them; more are dropped.",
    ),
  interval: duration
    .refine((ms) => ms >= 10 && ms <= 60_000, "expected a duration from 10ms to 60s")
    .prefault("2s")
    .describe("How long an ended span waits for others to be sent with it."),
  timeout: duration
    .refine((ms) => ms >= 100 && ms <= 60_000, "expected a duration from 100ms to 60s")
    .prefault("10s")
    .describe("How long the receiver may take for one batch, further attempts included; then it is dropped."),
});

/** `tracing` of sluice.yaml: null or an object. */
export const tracingSchema = tracingObject
  .nullable()
  .prefault(null)
  .describe("Traces of OpenTelemetry; null: none.");

/** The `tracing` of sluice.yaml after validation. */
export type TracingConfig = z.output<typeof tracingObject>;
