import { fieldValue, type RawFields } from "./fields.ts";

/** A backend that wants longer than this is asked again all the same. */
const MAX_SECONDS = 3600;

/** What is added at most to a waiting time, so that those who were sent away together do not come back so. */
const SPREAD = 0.1;

/** A Retry-After field for a known waiting time: never too early, and up to a tenth later. */
export function retryAfter(ms: number): readonly [name: string, value: string] {
  const seconds = (ms * (1 + SPREAD * Math.random())) / 1000;
  return ["Retry-After", String(Math.max(1, Math.ceil(seconds)))];
}

/** One for a place that falls free nobody knows when: 2 to 10 s, drawn. */
export function retrySoon(): readonly [name: string, value: string] {
  return ["Retry-After", String(2 + Math.floor(9 * Math.random()))];
}

/** What a backend's own Retry-After asks for, in the form with seconds; undefined without one. */
export function backendRetryAfter({
  rawHeaders,
}: {
  readonly rawHeaders: RawFields;
}): readonly [name: string, value: string] | undefined {
  const seconds = /^\d{1,9}$/.exec(fieldValue(rawHeaders, "retry-after") ?? "")?.[0];
  return seconds === undefined ? undefined : ["Retry-After", String(Math.min(Number(seconds), MAX_SECONDS))];
}
