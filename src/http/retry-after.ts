import { fieldValue, type RawFields } from "./fields.ts";

/** The longest wait, in seconds, that is forwarded from a backend. */
const MAX_SECONDS = 3600;

/**
 * The maximum that is added to a wait, as a fraction: clients that were refused together then return at different
 * times.
 */
const SPREAD = 0.1;

/** Returns a Retry-After field for a known wait in ms: never earlier, and up to a tenth later. */
export function retryAfter(ms: number): readonly [name: string, value: string] {
  const seconds = (ms * (1 + SPREAD * Math.random())) / 1000;
  return ["Retry-After", String(Math.max(1, Math.ceil(seconds)))];
}

/** Returns a Retry-After field for an unknown wait: 2 to 10 s, at random. */
export function retrySoon(): readonly [name: string, value: string] {
  return ["Retry-After", String(2 + Math.floor(9 * Math.random()))];
}

/** Returns a backend's Retry-After if it is in seconds, at most `MAX_SECONDS`; undefined otherwise. */
export function backendRetryAfter({
  rawHeaders,
}: {
  readonly rawHeaders: RawFields;
}): readonly [name: string, value: string] | undefined {
  const seconds = /^\d{1,9}$/.exec(fieldValue(rawHeaders, "retry-after") ?? "")?.[0];
  return seconds === undefined ? undefined : ["Retry-After", String(Math.min(Number(seconds), MAX_SECONDS))];
}
