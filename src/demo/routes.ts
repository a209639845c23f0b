import { randomBytes } from "node:crypto";
import type { AppConfig } from "../config/apps-schema.ts";
import { type RouteConfig, routeSchema } from "../config/route-schema.ts";

/** Returns the app that signs on the article's page; new at each start, because its secret is in the page. */
export function demoApp(): AppConfig {
  const key = randomBytes(10).toString("hex").toUpperCase();
  return { name: "article", key, secret: [randomBytes(20).toString("hex")], appCodes: [] };
}

/** Returns the demo's routes. */
export function demoRoutes(backendUrl: string, pageOrigins: readonly string[]): readonly RouteConfig[] {
  const cors = { allowOrigins: pageOrigins };
  const files = {
    // Pages of any origin may read the time.
    stream: { match: { path: "/stream", methods: ["GET"] }, upstream: backendUrl, cors: true },
    // The article's route: the same stream for signed requests, from pages of any origin.
    article: {
      match: { path: "/article/stream", methods: ["GET"] },
      upstream: backendUrl,
      cors: true,
      auth: { app: ["article"] },
    },
    // One backend request for all polls, long polls and streams. The page may read every field, to count their bytes.
    readings: {
      match: { path: "/readings" },
      upstream: backendUrl,
      shared: { linger: "5s" },
      cors: { ...cors, exposeHeaders: ["*"] },
    },
    cut: { match: { path: "/stream/cut", methods: ["POST"] }, upstream: backendUrl, cors },
    chat: { match: { path: "/chat/*" }, upstream: backendUrl, cors },
    burst: { match: { path: "/burst", methods: ["GET"] }, upstream: backendUrl, cors },
    // A request with an Idempotency-Key survives its client. The page has no accounts: it names itself at random.
    completions: {
      match: { path: "/v1/chat/completions", methods: ["POST", "GET", "DELETE"] },
      upstream: backendUrl,
      resume: { by: ["header:X-Visitor"], grace: "30s", keep: "2m" },
      cors,
    },
    // The page behind the gateway too, for users who open the gateway's address.
    home: { match: { path: "/", methods: ["GET"] }, upstream: backendUrl },
    page: { match: { path: "/page/*", methods: ["GET"] }, upstream: backendUrl },
  };
  return Object.entries(files).map(([name, file]) => ({ name, ...routeSchema.parse(file) }));
}
