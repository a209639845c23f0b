import { ProxyError } from "../base/errors.ts";
import type { RedialConfig } from "../config/shared-schema.ts";
import { contentCoding } from "../http/content-coding.ts";
import { fieldValue, fieldValues } from "../http/fields.ts";
import { mediaType } from "../http/media-type.ts";
import { backendRetryAfter } from "../http/retry-after.ts";
import type { SourceHead } from "../http/source.ts";
import { longestDelay } from "./redial-delay.ts";
import type { BackendState } from "./store.ts";

/** The meaning of a backend's response head for a shared stream. */
export type BackendVerdict =
  | { readonly is: "stream" }
  /** 204: the stream is over, and clients must not reconnect (WHATWG HTML, section 9.2.3). */
  | { readonly is: "ended" }
  | {
      readonly is: "refused";
      readonly error: ProxyError;
      /** Whether a later request may succeed, so that clients with an open stream wait for it. */
      readonly isPassing: boolean;
      /** The backend's Retry-After, in ms. */
      readonly retryAfterMs: number | undefined;
    };

/** Statuses below 500 after which a later request may succeed; the others are final. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

/** The fields of a refusal that all clients get: others, such as Set-Cookie, may be meant for one client. */
const SHOWN_FIELDS = ["Location", "WWW-Authenticate", "Allow"] as const;

/**
 * Judges the head of a backend's response: only an event stream in UTF-8 can be shared. `decodedStream` has removed the
 * content codings that it can decode.
 */
export function judgeHead(head: SourceHead): BackendVerdict {
  const { status } = head;
  if (status === 204) return { is: "ended" };
  if (status !== 200) return refusedWith(head);
  const type = fieldValue(head.rawHeaders, "content-type");
  if (mediaType(type) !== "text/event-stream" || !isUtf8(type)) {
    return refused(new ProxyError("backend_not_a_stream", `Content-Type: ${type ?? "none"}`));
  }
  const coding = contentCoding(head.rawHeaders);
  if (coding !== undefined) {
    return refused(new ProxyError("unsupported_encoding", `Content-Encoding: ${coding}`));
  }
  return { is: "stream" };
}

function refused(error: ProxyError): BackendVerdict {
  return { is: "refused", error, isPassing: false, retryAfterMs: undefined };
}

function refusedWith(head: SourceHead): BackendVerdict {
  const { status, rawHeaders } = head;
  const retryAfter = backendRetryAfter(head);
  const shown = SHOWN_FIELDS.flatMap((name) =>
    fieldValues(rawHeaders, name.toLowerCase()).map((value) => [name, value] as const),
  );
  const isRefusal = status >= 300 && status <= 599;
  return {
    is: "refused",
    error: new ProxyError("backend_refused", `status ${status}`, {
      fields: isRefusal ? shown : [],
      ...(isRefusal && { status }),
    }),
    isPassing: status >= 500 || PASSING.has(status),
    retryAfterMs: retryAfter === undefined ? undefined : Number(retryAfter[1]) * 1000,
  };
}

/** Returns the error that all clients get while a backend's failure holds. */
export function failureOf({
  code,
  status,
  fields,
  retryAt,
}: Extract<BackendState, { is: "failed" }>): ProxyError {
  const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
  const isPassing = status >= 500 || status === 429 || status === 408;
  return new ProxyError(code, "the shared stream has failed", {
    status,
    fields: isPassing ? [...fields, ["Retry-After", String(seconds)]] : fields,
  });
}

/**
 * Bounds the time for which a failure holds: at most the longest wait that the route's own configuration allows.
 * Another instance may have written any time, and the channel keeps the lease of its record until the failure is over.
 */
export function boundedState(state: BackendState, redial: RedialConfig): BackendState {
  if (state.is !== "failed") return state;
  return { ...state, retryAt: Math.min(state.retryAt, Date.now() + longestDelay(redial)) };
}

/** Whether a Content-Type names UTF-8 or no charset; a backend that names another one may really use it. */
function isUtf8(type = ""): boolean {
  const charset = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(type)?.[1];
  return charset === undefined || /^utf-?8$/i.test(charset);
}

/** How long, in ms, clients get the same failure after the backend's first response took too long. */
const TIMEOUT_HOLDS_MS = 1_000;

/** Returns the state of a backend whose first response took too long. */
export function timedOut(): BackendState {
  const retryAt = Date.now() + TIMEOUT_HOLDS_MS;
  return { is: "failed", status: 504, code: "backend_timeout", fields: [], retryAt };
}
