import { type RouteConfig, routeSchema } from "../config/route-schema.ts";

/** The demo's routes, as the objects that route files hold. */
export function demoRoutes(backendUrl: string, pageOrigins: readonly string[]): readonly RouteConfig[] {
  const cors = { allowOrigins: pageOrigins };
  const files = {
    // The article's own: whoever asks may read the time.
    stream: { match: { path: "/stream", methods: ["GET"] }, upstream: backendUrl, cors: true },
    cut: { match: { path: "/stream/cut", methods: ["POST"] }, upstream: backendUrl, cors },
    chat: { match: { path: "/chat/*" }, upstream: backendUrl, cors },
    burst: { match: { path: "/burst", methods: ["GET"] }, upstream: backendUrl, cors },
    completions: { match: { path: "/v1/chat/completions", methods: ["POST"] }, upstream: backendUrl, cors },
    // The page once more behind the gateway, for whoever opens the gateway's address.
    home: { match: { path: "/", methods: ["GET"] }, upstream: backendUrl },
    page: { match: { path: "/page/*", methods: ["GET"] }, upstream: backendUrl },
  };
  return Object.entries(files).map(([name, file]) => ({ name, ...routeSchema.parse(file) }));
}
