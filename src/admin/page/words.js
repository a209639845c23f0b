/** The reasons for which streams end, in the order in which they are offered. */
export const END_REASONS = [
  "backend_failed",
  "idle_timeout",
  "slow_client",
  "client_gone",
  "backend_ended",
  "completed",
  "max_duration",
  "auth_expired",
  "evicted",
  "drained",
];

/** The reasons that mean a failure, and not the will of the client or of the gateway. */
export const TROUBLE = new Set(["backend_failed", "idle_timeout", "slow_client"]);

const OWN_WORDS = { backend_status: "response of the backend" };

/** Returns a code of the log as words. */
export const words = (code) => OWN_WORDS[code] ?? code.replaceAll("_", " ");

/** Returns a number with its noun: 1 request, 2 requests. */
export const counted = (text, value, noun) => `${text} ${value === 1 ? noun : `${noun}s`}`;
