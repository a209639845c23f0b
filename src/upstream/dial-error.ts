import { type ErrorCode, ProxyError } from "../base/errors.ts";

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
    options: { cause?: unknown } = {},
  ) {
    super(code, detail, options);
    this.progress = progress;
  }
}
