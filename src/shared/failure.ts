import { ProxyError } from "../base/errors.ts";
import type { RedialConfig } from "../config/shared-schema.ts";
import { longestDelay } from "./redial-delay.ts";
import type { BackendState } from "./store.ts";

/** Everybody's answer, until the backend is asked again. */
export function failureOf({
  code,
  status,
  fields,
  retryAt,
}: Extract<BackendState, { is: "failed" }>): ProxyError {
  const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
  const isPassing = status >= 500 || status === 429 || status === 408;
  return new ProxyError(code, "the answer of the shared stream", {
    status,
    fields: isPassing ? [...fields, ["Retry-After", String(seconds)]] : fields,
  });
}

/**
 * Bounds how long a refusal holds by what the route's own configuration leads to: another instance may have written
 * any time, and a channel stays as long as its refusal holds, with the lease of its record.
 */
export function boundedState(state: BackendState, redial: RedialConfig): BackendState {
  if (state.is !== "failed") return state;
  return { ...state, retryAt: Math.min(state.retryAt, Date.now() + longestDelay(redial)) };
}
