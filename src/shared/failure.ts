import { ProxyError } from "../base/errors.ts";
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
