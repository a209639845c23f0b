import type { RouteConfig } from "../config/route-schema.ts";

/**
 * What a route's file says about the bytes of its streams: whom it asks, and for what.
 *
 * Two instances that share a Redis and differ in this keep records of their own. How a stream is handed on
 * (heartbeats, limits, CORS, credentials) is not among it, so that such a change can be rolled out without one.
 */
export function streamDefinition({ upstream, mock, rewrite, headers, shared }: RouteConfig): string {
  const backends = upstream?.backends.map(({ url: { url } }) => url).toSorted();
  const asked = { backends, hostHeader: upstream?.hostHeader, rewrite, headers: headers.request };
  return JSON.stringify({ ...asked, mock, by: shared?.by, ids: shared?.ids });
}
