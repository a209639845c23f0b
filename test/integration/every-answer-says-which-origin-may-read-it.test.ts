import { beforeAll, describe, expect, test } from "vitest";
import { type Backend, type BackendRequest, refusedPort, startBackend } from "../support/backend.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { rawRequest } from "../support/raw-client.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

const APP = "https://app.example.com";
const EVIL = "https://evil.example";

/** The CORS fields that this backend sends in every response, some of them twice. */
const OPINION = {
  "Access-Control-Allow-Origin": ["*", EVIL],
  "access-control-allow-credentials": "true",
  "Access-Control-Expose-Headers": "X-Secret",
  Vary: "Accept-Encoding",
};

const BY_PATH: Readonly<Record<string, (request: BackendRequest) => void>> = {
  "/200": (request) => request.respond(200, OPINION, "body"),
  "/204": (request) => request.respond(204, OPINION),
  "/301": (request) => request.respond(301, { ...OPINION, Location: "/200" }),
  "/304": (request) => request.respond(304, { ...OPINION, ETag: '"1"' }),
  "/404": (request) => request.respond(404, OPINION, "none"),
  "/500": (request) => request.respond(500, OPINION, "broken"),
  "/stream": (request) => request.openStream(OPINION),
  "/full": (request) => request.openStream(OPINION),
  "/504": () => undefined,
};

const cors = { allowOrigins: [APP], allowCredentials: true };

async function startApi(): Promise<{ gateway: GatewayFixture; backend: Backend }> {
  const backend = await startBackend((request) => {
    const answer = BY_PATH[request.target] ?? BY_PATH["/200"];
    answer?.(request);
  });
  const route = (path: string, more: object = {}) => ({
    match: { path },
    upstream: backend.url,
    cors,
    ...more,
  });
  const gateway = await startGateway({
    routes: {
      main: route("/*"),
      open: { match: { path: "/open" }, upstream: backend.url },
      auth: route("/401", { auth: { app: ["web"] } }),
      access: route("/403", { access: { deny: ["127.0.0.0/8"] } }),
      rate: route("/429", { limits: { rate: { requests: 1, per: "1d" } } }),
      full: route("/full", { limits: { streams: 1 } }),
      dead: route("/502", { upstream: `http://127.0.0.1:${await refusedPort()}` }),
      slow: route("/504", { upstream: { backends: [{ url: backend.url }], responseHeaderTimeout: "50ms" } }),
      mock: { match: { path: "/mock" }, cors, mock: { headers: { Vary: "Accept" }, body: "fixed" } },
      socket: route("/socket", { websocket: true }),
    },
    apps: { web: { key: "KEY", secret: "secret" } },
  });
  return { gateway, backend };
}

const names = (client: StreamClient, start: string): string[] =>
  (client.head?.fields ?? []).map(([name]) => name.toLowerCase()).filter((name) => name.startsWith(start));

describe("on a route with allowOrigins", () => {
  let gateway: GatewayFixture;
  beforeAll(async () => {
    const api = await startApi();
    gateway = api.gateway;
    // Uses up the one request of the rate and the one stream of the limit.
    for (const path of ["/429", "/full"]) await openStream(gateway.port, { path }).opened();
    return async () => {
      await gateway.close();
      await api.backend.close();
    };
  });

  const ask = async (path: string, origin: string | undefined, method = "GET"): Promise<StreamClient> => {
    const headers = origin === undefined ? {} : { Origin: origin };
    const client = openStream(gateway.port, { path, method, headers });
    await client.opened();
    return client;
  };

  const ANSWERS = [
    ...[200, 204, 301, 304, 404, 500, 401, 403, 429, 502, 504].map(
      (status) => [status, `/${status}`, "GET"] as const,
    ),
    [200, "/200", "HEAD"],
    [200, "/stream", "GET"],
    [200, "/stream", "HEAD"],
    [503, "/full", "GET"],
    [200, "/mock", "GET"],
  ] as const;

  test.each(ANSWERS)(
    "a %i of %s (%s) varies by Origin and names the allowed origin, each once",
    async (status, path, method) => {
      for (const origin of [undefined, APP, EVIL, "null"]) {
        const client = await ask(path, origin, method);
        expect(client.head?.status).toBe(status);
        const vary = client.fieldLines("vary");
        expect(vary).toHaveLength(1);
        expect(vary[0]?.split(", ").filter((name) => name === "Origin")).toHaveLength(1);
        const isAllowed = origin === APP;
        expect(client.fieldLines("access-control-allow-origin")).toEqual(isAllowed ? [APP] : []);
        expect(client.fieldLines("access-control-allow-credentials")).toEqual(isAllowed ? ["true"] : []);
        const exposed = isAllowed ? ["X-Request-Id, Mcp-Session-Id, Retry-After"] : [];
        expect(client.fieldLines("access-control-expose-headers")).toEqual(exposed);
        expect(names(client, "access-control-")).toHaveLength(isAllowed ? 3 : 0);
        client.leave();
      }
    },
  );

  test("the backend's own Vary is kept beside ours", async () => {
    expect((await ask("/200", APP)).fieldLines("vary")).toEqual(["Accept-Encoding, Origin"]);
    expect((await ask("/304", APP)).fieldLines("vary")).toEqual(["Accept-Encoding, Origin"]);
  });

  test("a refused upgrade varies by Origin, too", async () => {
    const bytes = handshake("/socket", { Origin: EVIL });
    const { text, status } = await rawRequest(gateway.port, bytes, { until: "request_id" });
    expect(status).toBe(403);
    expect(text.match(/^vary: .*$/gim)).toEqual(["Vary: Origin"]);
    expect(text).not.toMatch(/access-control/i);
  });

  test("a route without cors leaves the backend's fields unchanged, even if no browser accepts them", async () => {
    const client = await ask("/open", APP);
    expect(client.fieldLines("access-control-allow-origin")).toEqual(["*", EVIL]);
    expect(client.fieldLines("vary")).toEqual(["Accept-Encoding"]);
  });
});
