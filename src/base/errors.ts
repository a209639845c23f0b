import { STATUS_CODES } from "node:http";

/**
 * The table of all refusals: the code for the log, the status, and the text for the client.
 *
 * `APIG.*` codes and texts are those of the API gateway that clients may already know; a tool that matches on them
 * keeps working. `SLUICE.*` codes are ours, where that gateway has no code.
 */
export const PUBLIC_ERRORS = {
  bad_request: { status: 400, publicCode: "APIG.0201", text: "API request error." },
  auth_failed: { status: 401, publicCode: "APIG.0303", text: "Incorrect app authentication information" },
  app_not_authorized: {
    status: 403,
    publicCode: "APIG.0304",
    text: "The app is not authorized to access the API.",
  },
  access_denied: {
    status: 403,
    publicCode: "APIG.0402",
    text: "The IP address is not authorized to access the API.",
  },
  rate_limited: { status: 429, publicCode: "APIG.0308", text: "The throttling threshold has been reached." },
  too_many_parameters: { status: 400, publicCode: "APIG.0201", text: "Too many query parameters." },
  body_too_large: { status: 413, publicCode: "APIG.0201", text: "Request entity too large." },
  too_many_streams: { status: 503, publicCode: "SLUICE.0008", text: "Too many streams are open." },
  too_many_streams_of_client: {
    status: 429,
    publicCode: "SLUICE.0009",
    text: "Too many streams are open for this client.",
  },
  too_many_connections: { status: 503, publicCode: "SLUICE.0010", text: "Too many connections are open." },
  connections_exhausted: {
    status: 503,
    publicCode: "SLUICE.0013",
    text: "No more connections can be opened now.",
  },
  too_many_bodies: { status: 503, publicCode: "SLUICE.0015", text: "Too many request bodies are held." },
  out_of_memory: { status: 503, publicCode: "SLUICE.0014", text: "Too many streams are open." },
  no_backend: { status: 502, publicCode: "APIG.0610", text: "No backend available." },
  no_route: {
    status: 404,
    publicCode: "APIG.0101",
    // The API gateway speaks of an unpublished API; most routes of sluice are none.
    text: "The requested path does not exist.",
  },
  method_not_allowed: { status: 405, publicCode: "SLUICE.0001", text: "The method is not allowed." },
  method_not_implemented: { status: 501, publicCode: "SLUICE.0021", text: "The method is not implemented." },
  request_timeout: { status: 408, publicCode: "SLUICE.0002", text: "The request took too long to arrive." },
  target_too_long: { status: 414, publicCode: "APIG.0201", text: "Request URI too large." },
  header_overflow: { status: 431, publicCode: "APIG.0201", text: "Request headers too large." },
  expectation_failed: { status: 417, publicCode: "SLUICE.0003", text: "The expectation cannot be met." },
  origin_denied: { status: 403, publicCode: "SLUICE.0004", text: "The origin is not allowed." },
  upgrade_required: {
    status: 426,
    publicCode: "SLUICE.0007",
    text: "The WebSocket version is not supported.",
  },
  version_not_supported: {
    status: 505,
    publicCode: "SLUICE.0005",
    text: "The HTTP version is not supported.",
  },
  backend_connect_failed: { status: 502, publicCode: "APIG.0201", text: "Backend unavailable." },
  backend_connect_timeout: { status: 504, publicCode: "APIG.0201", text: "Backend timeout." },
  backend_reset: { status: 502, publicCode: "APIG.0201", text: "Backend unavailable." },
  backend_protocol_error: { status: 502, publicCode: "APIG.0201", text: "Backend unavailable." },
  backend_overloaded: { status: 503, publicCode: "APIG.0201", text: "Backend unavailable." },
  backend_refused: { status: 502, publicCode: "APIG.0201", text: "The backend refused the stream." },
  backend_not_a_stream: { status: 502, publicCode: "APIG.0201", text: "The backend sent no event stream." },
  unsupported_encoding: {
    status: 502,
    publicCode: "APIG.0201",
    text: "The encoding of the backend's stream is not supported.",
  },
  event_too_large: { status: 502, publicCode: "APIG.0201", text: "The backend sent too large an event." },
  too_many_channels: { status: 429, publicCode: "SLUICE.0011", text: "Too many different streams are open." },
  answer_mismatch: {
    status: 422,
    publicCode: "SLUICE.0030",
    text: "The name of the request belongs to another request.",
  },
  answer_gone: { status: 410, publicCode: "SLUICE.0031", text: "The answer is no longer kept." },
  answer_cancelled: { status: 410, publicCode: "SLUICE.0032", text: "The answer was cancelled." },
  answer_unavailable: { status: 503, publicCode: "SLUICE.0033", text: "The answer cannot be had now." },
  backend_timeout: { status: 504, publicCode: "APIG.0201", text: "Backend timeout." },
  loop_detected: {
    status: 508,
    publicCode: "SLUICE.0020",
    text: "The request came back to this gateway.",
  },
  replay_unknown: { status: 503, publicCode: "SLUICE.0012", text: "The request cannot be checked now." },
  closing: { status: 503, publicCode: "SLUICE.0006", text: "The gateway is shutting down." },
  body_already_read: { status: 500, publicCode: "APIG.0601", text: "Internal server error." },
  internal_error: { status: 500, publicCode: "APIG.0601", text: "Internal server error." },
} as const satisfies Record<string, { status: number; publicCode: string; text: string }>;

export type ErrorCode = keyof typeof PUBLIC_ERRORS;

const ERROR_TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
};

/** Returns the type of an error as the APIs of OpenAI and Anthropic name it. */
function errorType(status: number): string {
  return ERROR_TYPES[status] ?? (status >= 500 ? "server_error" : "invalid_request_error");
}

/** Whether a text from another process is an error code of this version. */
export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(PUBLIC_ERRORS, text);

/** Refusals that close the connection: its bytes could not be parsed as requests, or its place is needed. */
const CLOSING: ReadonlySet<ErrorCode> = new Set([
  "too_many_connections",
  "connections_exhausted",
  "bad_request",
  "method_not_implemented",
  "request_timeout",
  "target_too_long",
  "header_overflow",
  "expectation_failed",
  "version_not_supported",
]);

/** A refusal. Branch on `code`; the message (`detail`) and `cause` are for the log only (CWE-209). */
export class ProxyError extends Error {
  override readonly name = "ProxyError";
  readonly code: ErrorCode;
  /** Fields that the status requires, such as Allow with 405. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** A text that the client may read in debug mode, on a route that allows it. */
  readonly debugText: string | undefined;
  /** The status of a backend's refusal, if that is forwarded. */
  readonly #status: number | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    options: {
      cause?: unknown;
      fields?: readonly (readonly [string, string])[];
      debugText?: string;
      status?: number;
    } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields ?? [];
    this.debugText = options.debugText;
    this.#status = options.status;
  }

  get status(): number {
    return this.#status ?? PUBLIC_ERRORS[this.code].status;
  }

  /** Whether the client's connection is closed after the response. */
  get closes(): boolean {
    return CLOSING.has(this.code);
  }

  /**
   * Returns the JSON body; `requestId` is that of the log line. `error` is what SDKs of model vendors read. A problem
   * has the members of RFC 9457 too.
   */
  body(requestId: string, { isDebugging = false, isProblem = false } = {}): string {
    const { publicCode, text } = PUBLIC_ERRORS[this.code];
    const { status } = this;
    const message = isDebugging && this.debugText !== undefined ? `${text}: ${this.debugText}` : text;
    return JSON.stringify({
      ...(isProblem && { type: "about:blank", title: STATUS_CODES[status] ?? text, status, detail: message }),
      error_code: publicCode,
      error_msg: message,
      request_id: requestId,
      error: { message, type: errorType(status), code: publicCode },
    });
  }
}

/** Returns an error as a refusal: any other error becomes the cause of an `internal_error`. */
export function refusalOf(error: unknown): ProxyError {
  return error instanceof ProxyError
    ? error
    : new ProxyError("internal_error", "unexpected", { cause: error });
}
