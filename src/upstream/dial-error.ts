import { type ErrorCode, ProxyError } from "../base/errors.ts";
import { retrySoon } from "../http/retry-after.ts";
import type { Timeouts } from "./upstream.ts";

/**
 * A dial that brought no response head. `progress` decides whether another backend may get the request.
 *
 * `unsent`: no byte of the request has been sent. `unused`: nor was it, and the backend has closed a kept connection.
 * `stale`: it was sent on a kept connection, which the backend may have closed at the same moment. `unanswered`: it was
 * sent, and may have had its effect. `answered`: bytes came back.
 */
export class DialError extends ProxyError {
  readonly progress: "unsent" | "unused" | "stale" | "unanswered" | "answered";

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

/** The facts about a dial that determine its progress. */
export interface DialState {
  readonly isConnected: boolean;
  /** Whether bytes of the request may have been sent. */
  readonly isSent: boolean;
  /** Whether bytes of a response came. */
  readonly isAnswered: boolean;
  /** Whether the connection had served a request before. */
  readonly isReused: boolean;
}

/** Returns how far a dial has come. */
export function dialProgress(state: DialState): DialError["progress"] {
  if (!state.isConnected) return "unsent";
  if (state.isAnswered) return "answered";
  if (!state.isSent) return "unused";
  return state.isReused ? "stale" : "unanswered";
}

/** Returns the error of a dial that timed out: the response head took too long or, before that, the connection. */
export function dialTimeout(isConnected: boolean, timeouts: Timeouts): ProxyError {
  return isConnected
    ? new ProxyError("backend_timeout", `no response head within ${timeouts.responseHeaderTimeout} ms`)
    : new ProxyError("backend_connect_timeout", `no connection within ${timeouts.connectTimeout} ms`);
}

/** This process's own shortage of files, ports or memory, as `connect` reports it: no failure of the backend. */
const OWN_SHORTAGES: ReadonlySet<string> = new Set([
  "EMFILE",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
  "EADDRNOTAVAIL",
]);

/** Converts an error of a dial to a DialError, given the progress of the dial. */
export function dialError(error: NodeJS.ErrnoException, progress: DialError["progress"]): DialError {
  if (error instanceof DialError) return error;
  const options = { cause: error };
  if (error instanceof ProxyError) {
    // A timeout of ours, or an invalid response. Only a connection that broke is stale.
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

/** The error for a name with several addresses has an empty message: its parts have the reasons. */
function describe(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return error.errors.map((one: unknown) => (one instanceof Error ? one.message : String(one))).join("; ");
}
