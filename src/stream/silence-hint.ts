import type { Exchange } from "../exchange/exchange.ts";

/**
 * How long, in ms, a backend may send nothing on a stream with heartbeats before the log says so. Heartbeats keep every
 * hop and client from noticing a frozen backend. Ten minutes is longer than proxies and load balancers let a stream be
 * silent, so without the heartbeats it would have ended by then. It is no limit: the stream goes on.
 */
export const SILENCE_HINT_MS = 600_000;

/** The log line, once for each stream. */
export const SILENCE_HINT =
  "stream had nothing but heartbeats for ten minutes: if the backend should have sent something, set stream.idleTimeout";

/** Logs that a backend may be frozen, unless the route bounds its silence. A mock has no backend. */
export function hintAtSilence({ id, log, route, backend, attemptTrace }: Exchange): void {
  if (route === undefined || backend === undefined || route.config.stream.idleTimeout !== undefined) return;
  log.warn({ reqId: id, ...attemptTrace?.ids, route: route.config.name, backend }, SILENCE_HINT);
}
