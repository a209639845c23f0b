import { type ErrorCode, ProxyError } from "../base/errors.ts";
import { retrySoon } from "../http/retry-after.ts";

/**
 * A backend that gave no answer; `progress` decides whether another one may get the request.
 *
 * `unsent`: not a byte has left. `stale`: it left on a kept connection, which the backend may have closed in
 * the same moment. `unanswered`: it left, and may have had its effect. `answered`: bytes came back.
 */
export class DialError extends ProxyError {
  readonly progress: "unsent" | "stale" | "unanswered" | "answered";

  constructor(
    code: ErrorCode,
    detail: string,
    progress: DialError["progress"],
    options: ConstructorParameters<typeof ProxyError>[2] = {},
  ) {
    super(code, detail, options);
    this.progress = progress;
  }
}

/** Our own lack of files, ports or memory, as `connect` reports it: nobody else's fault. */
const OWN_SHORTAGES: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "EADDRNOTAVAIL",
]);

/** What an error on the way to the response head means, given how far the request had come. */
export function dialError(error: NodeJS.ErrnoException, progress: DialError["progress"]): DialError {
  if (error instanceof DialError) return error;
  const options = { cause: error };
  if (error instanceof ProxyError) {
    // One of our timers, or what the answer had in it: a connection that broke is the only stale one.
    const sent = progress === "stale" ? "unanswered" : progress;
    return new DialError(error.code, error.message, sent, { cause: error.cause ?? error });
  }
  if (OWN_SHORTAGES.has(error.code ?? "")) {
    return new DialError("connections_exhausted", error.message, progress, {
      ...options,
      fields: [retrySoon()],
    });
  }
  const isGarbled = progress === "answered" || error.code?.startsWith("HPE_");
  const code =
    progress === "unsent" ? "backend_connect_failed" : isGarbled ? "backend_protocol_error" : "backend_reset";
  return new DialError(code, describe(error), isGarbled ? "answered" : progress, options);
}

/** The error of a name with several addresses has no words of its own. */
function describe(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join("; ");
}
