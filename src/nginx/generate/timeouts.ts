import { heartbeatMs } from "../../config/heartbeat-schema.ts";
import type { RouteConfig } from "../../config/route-schema.ts";

/** The longest expected interval between the pings of a WebSocket. Milliseconds. */
const WEBSOCKET_MS = 60_000;
/** A margin for a process or a network that stalls. Milliseconds. */
const MARGIN_MS = 15_000;
/** The timeout for streams without a heartbeat and an idle timeout, which may be silent. Milliseconds. */
const SILENT_MS = 3_600_000;

/** The longest time without a byte from a working sluice, over all routes. */
export interface Silence {
  /** `proxy_read_timeout`. Milliseconds, whole seconds. */
  readonly ms: number;
  /** The settings behind the time, such as `heartbeat` with 15 s; the longest first. */
  readonly reasons: readonly { readonly name: string; readonly ms: number }[];
  /** Routes whose streams have neither a heartbeat nor an idle timeout. */
  readonly silentRoutes: readonly string[];
}

/** Computes how long nginx has to wait for sluice. */
export function longestSilence(routes: readonly RouteConfig[]): Silence {
  const longest = new Map<string, number>();
  const silentRoutes: string[] = [];
  const take = (name: string, ms: number) => longest.set(name, Math.max(ms, longest.get(name) ?? 0));
  for (const { name, stream, upstream, stages, websocket } of routes) {
    const heartbeat = heartbeatMs(stream);
    const quiet = heartbeat ?? stream.idleTimeout;
    if (quiet === undefined) silentRoutes.push(name);
    take(heartbeat === undefined ? "idleTimeout" : "heartbeat", quiet ?? SILENT_MS);
    for (const group of [upstream, ...Object.values(stages).map((stage) => stage.upstream)]) {
      if (group === undefined) continue;
      const attempts = Math.min(group.retries + 1, group.backends.length);
      // The failed attempts to connect come before the wait for the response head.
      take("responseHeaderTimeout", group.responseHeaderTimeout + (attempts - 1) * group.connectTimeout);
    }
    if (websocket) take("websocket", WEBSOCKET_MS);
  }
  const reasons = [...longest].map(([name, ms]) => ({ name, ms })).toSorted((a, b) => b.ms - a.ms);
  const ms = Math.ceil((Math.max(0, ...longest.values()) + MARGIN_MS) / 1000) * 1000;
  return { ms, reasons, silentRoutes };
}
