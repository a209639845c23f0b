/** Why an exchange ended; the closed list that logs and metrics use. */
export type EndReason =
  /** The response went out whole. */
  | "completed"
  /** The client left before the end. */
  | "client_gone"
  /** The backend ended its event stream. */
  | "backend_ended"
  /** The backend broke off, or never answered. */
  | "backend_failed"
  /** `stream.idleTimeout` passed without a byte from the backend. */
  | "idle_timeout"
  /** `stream.maxDuration` was reached. */
  | "max_duration"
  /** Data waited for `stream.sendTimeout` and the client took none of it. */
  | "slow_client"
  /** The credential that opened the stream expired. */
  | "auth_expired"
  /** Somebody ended it by hand. */
  | "evicted"
  /** The gateway was closed, or the route taken out of it. */
  | "drained";
