/** The reasons why an exchange ended, as logs and metrics give them. */
export type EndReason =
  /** The whole response was sent. */
  | "completed"
  /** The client left before the end. */
  | "client_gone"
  /** The backend ended its event stream. */
  | "backend_ended"
  /** The backend aborted its response, or sent none. */
  | "backend_failed"
  /** `stream.idleTimeout` passed without a byte from the backend. */
  | "idle_timeout"
  /** `stream.maxDuration` was reached. */
  | "max_duration"
  /** The client took nothing of its pending bytes for `stream.sendTimeout`. */
  | "slow_client"
  /** The credential that opened the stream expired. */
  | "auth_expired"
  /** An operator ended it. */
  | "evicted"
  /** The gateway was closed, or a reload removed the route. */
  | "drained";
