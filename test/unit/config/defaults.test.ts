import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../src/config/inline.ts";
import { ConfigError, formatProblem } from "../../../src/config/problem.ts";
import type { RouteInput } from "../../../src/config/route-schema.ts";

type Server = NonNullable<Parameters<typeof parseConfig>[0]["server"]>;
type Defaults = NonNullable<Server["defaults"]>;

const MATCH = { path: "/a" };
const load = (defaults: Defaults, route: Omit<RouteInput, "match">, server: Server = {}) =>
  parseConfig({ server: { ...server, defaults }, routes: { r: { match: MATCH, ...route } } }, {});
/** The route r with these defaults. */
function routeWith(defaults: Defaults, route: Omit<RouteInput, "match"> = { upstream: "http://a:1" }) {
  const [first] = load(defaults, route).routes;
  if (first === undefined) throw new Error("no route");
  return first;
}
/** The problems of a configuration, as printed. */
function problemsOf(load: () => unknown): string[] {
  try {
    load();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(formatProblem);
    throw error;
  }
}
const problemsWith = (defaults: unknown, route: object = { upstream: "http://a:1" }, server: Server = {}) =>
  problemsOf(() => load(defaults as Defaults, route, server));

const jwt = { issuer: "https://id", audience: "api", jwks: "/keys.json" };

describe("a default applies to each route", () => {
  test("that does not have the key", () => {
    const { stream, websocket, upstream } = routeWith({
      stream: { heartbeat: "5s" },
      websocket: true,
      upstream: { connectTimeout: "2s" },
    });
    expect(stream.heartbeat).toEqual({ every: 5000, event: undefined });
    expect(stream.clientBuffer).toBe(262_144);
    expect(websocket).toBe(true);
    expect(upstream).toMatchObject({ connectTimeout: 2000, backends: [{ url: { host: "a" } }] });
  });

  test("and a key of the route wins: objects are merged key by key, lists replace", () => {
    const { stream, cors, upstream } = routeWith(
      {
        stream: { heartbeat: "5s", maxDuration: "1h", contentTypes: ["text/a"] },
        cors: { allowOrigins: ["https://a.example"], maxAge: "1h" },
        upstream: "http://default:1",
      },
      {
        stream: { heartbeat: "off", contentTypes: ["text/b"] },
        cors: { allowOrigins: ["https://b.example"] },
        upstream: { retries: 3 } as RouteInput["upstream"],
      },
    );
    expect(stream).toMatchObject({ heartbeat: undefined, maxDuration: 3_600_000, contentTypes: ["text/b"] });
    expect(cors).toMatchObject({ allowOrigins: ["https://b.example"], maxAge: 3_600_000 });
    expect(upstream).toMatchObject({ retries: 3, backends: [{ url: { host: "default" } }] });
  });

  test("and is no part of the server's settings, so that changing it is a change of routes only", () => {
    expect(load({ websocket: true }, { upstream: "http://a:1" }).server).not.toHaveProperty("defaults");
  });

  test("and its environment variables are filled in", () => {
    const { stream, llm } = parseConfig(
      {
        server: { defaults: { stream: { padding: "${PADDING}" }, llm: "${LLM:-off}" as "off" } },
        routes: { r: { match: MATCH, upstream: "http://a:1" } },
      },
      { PADDING: "2k" },
    ).routes[0] as NonNullable<ReturnType<typeof parseConfig>["routes"][0]>;
    expect(stream.padding).toBe(2048);
    expect(llm).toBeUndefined();
  });

  test("and each route fills in #variables# of a default with its own", () => {
    const { upstream } = routeWith(
      { upstream: "http://#Host#:8080", variables: { Port: 1 } },
      { variables: { Host: "b" } },
    );
    expect(upstream).toMatchObject({ backends: [{ url: { host: "b" } }] });
  });

  test("also to an environment with an upstream of its own", () => {
    const { stages } = routeWith(
      { upstream: { connectTimeout: "2s" } },
      { upstream: "http://a:1", stages: { TEST: { upstream: "http://b:1" } } },
    );
    expect(stages["TEST"]?.upstream).toMatchObject({
      connectTimeout: 2000,
      backends: [{ url: { host: "b" } }],
    });
  });
});

describe("a route takes a default off", () => {
  test.each<[string, Defaults, Omit<RouteInput, "match" | "upstream">, string]>([
    ["auth", { auth: { jwt } }, { auth: "off" }, "auth"],
    ["shared", { shared: {} }, { shared: "off" }, "shared"],
    ["resume", { resume: { by: ["header:X-U"] } }, { resume: "off" }, "resume"],
    ["llm", { llm: {} }, { llm: "off" }, "llm"],
  ])("%s", (_, defaults, off, key) => {
    const at = (route: object) => (route as Record<string, unknown>)[key];
    expect(at(routeWith(defaults))).toBeDefined();
    expect(at(routeWith(defaults, { upstream: "http://a:1", ...off }))).toBeUndefined();
  });

  test("a part of upstream, auth and limits", () => {
    const { upstream, auth, limits } = routeWith(
      {
        upstream: { healthCheck: { path: "/healthz" }, sticky: { cookie: "s" }, sign: undefined },
        auth: { jwt, ticket: {} },
        limits: { streams: 5, streamsPerClient: 1, rate: { requests: 1, per: "1s" } },
      },
      {
        upstream: { backends: [{ url: "http://a:1" }], healthCheck: "off", sticky: "off" },
        auth: { ticket: "off" },
        limits: { streams: "off", streamsPerClient: "off", rate: [] },
      },
    );
    expect(upstream).toMatchObject({ healthCheck: undefined, sticky: undefined });
    expect(auth).toMatchObject({ ticket: undefined, jwt: { audience: ["api"] } });
    expect(limits).toMatchObject({ streams: undefined, streamsPerClient: undefined, rate: [] });
  });

  test("websocket, however the default is written", () => {
    for (const defaults of [{ websocket: true }, { upgrade: ["websocket"] }]) {
      const { websocket, upgrade } = routeWith(defaults, { upstream: "http://a:1", websocket: false });
      expect({ websocket, upgrade }).toEqual({ websocket: false, upgrade: [] });
    }
  });
});

describe("a default gives way to a key that excludes it", () => {
  test("mock to upstream", () => {
    const { upstream, mock } = routeWith({ upstream: "http://a:1" }, { mock: {} });
    expect({ upstream, mock }).toMatchObject({ upstream: undefined, mock: { status: 200 } });
  });

  test("a credential to others: no client gets in that the route file does not name", () => {
    const app = { apps: ["shop"], replay: "reject" as const };
    const { auth } = parseConfig(
      {
        server: { defaults: { auth: { jwt, app } } },
        apps: {
          shop: { key: "shop", secret: "s".repeat(32) },
          web: { key: "web", secret: "s".repeat(32) },
        },
        routes: { r: { match: MATCH, upstream: "http://a:1", auth: { app: ["web"] } } },
      },
      {},
    ).routes[0] as NonNullable<ReturnType<typeof parseConfig>["routes"][0]>;
    expect(auth?.jwt).toBeUndefined();
    // The short form replaces the list, and keeps the rest.
    expect(auth?.app).toEqual({ apps: ["web"], replay: "reject" });
  });

  test("a field in another case, and a field that the route removes", () => {
    const { headers } = routeWith(
      { headers: { response: { set: { "X-Frame-Options": "DENY", "X-Served-By": "sluice", "X-A": "1" } } } },
      {
        upstream: "http://a:1",
        headers: { response: { set: { "x-frame-options": "SAMEORIGIN" }, remove: ["x-served-by"] } },
      },
    );
    expect(headers.response.set).toEqual({ "X-A": "1", "x-frame-options": "SAMEORIGIN" });
  });
});

describe("a problem of a default is reported once", () => {
  const twoRoutes = (defaults: unknown, server: Server = {}) =>
    problemsOf(() =>
      parseConfig(
        {
          server: { ...server, defaults: defaults as Defaults },
          routes: {
            a: { match: { path: "/a" }, upstream: "http://a:1" },
            b: { match: { path: "/b" }, upstream: "http://a:1" },
          },
        },
        {},
      ),
    );

  test.each<[string, unknown, string]>([
    [
      "a wrong value",
      { stream: { heartbeat: 5 } },
      "config/sluice.yaml:3:16 defaults.stream.heartbeat: expected a duration such as 15s, off, or an object with every and event; did you mean 5s?",
    ],
    [
      "an unknown key",
      { heartbeat: "5s" },
      "config/sluice.yaml:2:3 defaults.heartbeat: unknown key; did you mean defaults.stream.heartbeat?",
    ],
    [
      "a key that each route has for itself",
      { match: { host: "a" } },
      "config/sluice.yaml:2:3 defaults.match: unknown key; match has no default: each route has its own",
    ],
    [
      "an environment variable that is not set",
      { upstream: "${NONE}" },
      "config/sluice.yaml:2:13 defaults.upstream: the environment variable NONE is not set; ${NONE:-default} would give it a default",
    ],
    [
      "an unknown app",
      { auth: { app: ["shop"] } },
      "config/sluice.yaml:4:9 defaults.auth.app[0]: unknown app shop; apps.yaml has no such app",
    ],
    ["a backend that is the gateway", { upstream: { backends: [{ url: "http://127.0.0.1:8000" }] } }, ""],
  ])("%s", (_, defaults, problem) => {
    expect(twoRoutes(defaults)).toEqual(problem === "" ? [] : [problem]);
  });

  test("with the settings of the server", () => {
    expect(twoRoutes({ shared: {} }, { workers: 2 })).toEqual([
      "config/sluice.yaml:3:3 defaults.shared: workers: 2 can share a stream only through redis; set redis in sluice.yaml, or workers: 1",
    ]);
  });

  test("a backend that is the gateway", () => {
    const routes = { a: { match: { path: "/a" } }, b: { match: { path: "/b" } } };
    const upstream = "http://127.0.0.1:8000";
    expect(problemsOf(() => parseConfig({ server: { defaults: { upstream } }, routes }, {}))).toEqual([
      "config/sluice.yaml:2:13 defaults.upstream: http://127.0.0.1:8000 is an address that this gateway listens on; expected the address of an application, or another listen in sluice.yaml",
    ]);
  });

  test("and the key outside of defaults is suggested", () => {
    expect(problemsOf(() => load({}, { upstream: "http://a:1" }, { cors: true } as Server))).toEqual([
      "config/sluice.yaml:1:1 cors: unknown key; did you mean defaults.cors?",
    ]);
  });
});

describe("a default that does not suit a route is reported at the route, with both places", () => {
  test("the default is the wrong part: how to take it off", () => {
    expect(problemsWith({ resume: { by: ["header:X-U"] } }, { mock: {} })).toEqual([
      "config/routes/r.yaml:1:1 resume: expected no resume beside mock: only the answer of a backend is kept; resume is a default (config/sluice.yaml:2:3); resume: off takes it off",
    ]);
  });

  test("the route's key is the wrong part", () => {
    const [problem] = problemsWith({ auth: { jwt } }, { upstream: "http://a:1", shared: {} });
    expect(problem).toMatch(
      /^config\/routes\/r\.yaml:4:9 shared: expected by, because the route has auth: .*; auth is a default \(config\/sluice\.yaml:2:3\)$/,
    );
  });

  test("an AppCode of any app, although the defaults name apps", () => {
    const apps = { shop: { key: "shop", secret: "s".repeat(32), appCodes: ["c".repeat(64)] } };
    const problemsOfAuth = (auth: NonNullable<RouteInput["auth"]>, preset: object) => {
      const routes = { r: { match: MATCH, upstream: "http://a:1", auth } };
      return problemsOf(() => parseConfig({ server: { defaults: { auth: preset } }, apps, routes }, {}));
    };
    for (const preset of [{ app: ["shop"] }, { app: ["shop"], appCode: true }]) {
      expect(problemsOfAuth({ appCode: true }, preset)).toEqual([
        "config/routes/r.yaml:5:3 auth.appCode: expected auth.app beside it, with the apps of this route: the default (config/sluice.yaml:3:5) does not hold for a route with another credential, and without auth.app every app that has a code is accepted",
      ]);
      expect(problemsOfAuth({ app: ["shop"], appCode: true }, preset)).toEqual([]);
      expect(problemsOfAuth({ jwt }, preset)).toEqual([]);
    }
    expect(problemsOfAuth({ appCode: true }, { jwt })).toEqual([]);
  });

  test("a part of upstream", () => {
    expect(problemsWith({ upstream: { tls: { verify: false } } })).toEqual([
      "config/routes/r.yaml:3:11 upstream.tls: expected an https backend to verify; upstream is a default (config/sluice.yaml:2:3); upstream.tls: off takes it off",
    ]);
  });

  test("a variable that the route does not set", () => {
    expect(problemsWith({ upstream: "http://#Host#" }, {})).toEqual([
      "config/routes/r.yaml:1:1 upstream: the variable #Host# is not set in the variables of this environment; upstream is a default (config/sluice.yaml:2:3)",
    ]);
  });

  test("a ticket on a route without GET", () => {
    expect(
      problemsOf(() =>
        parseConfig(
          {
            server: { defaults: { auth: { jwt, ticket: {} } } },
            routes: { r: { match: { path: "/a", methods: ["POST"] }, upstream: "http://a:1" } },
          },
          {},
        ),
      ),
    ).toEqual([
      "config/routes/r.yaml:1:1 auth.ticket: a ticket is for a GET request, and match.methods does not contain GET; auth is a default (config/sluice.yaml:2:3); auth.ticket: off takes it off",
    ]);
  });

  test("an own problem of the route stays as it is", () => {
    expect(problemsWith({ websocket: true }, { upstream: "http://a:1", stream: { heartbeat: 5 } })).toEqual([
      "config/routes/r.yaml:5:14 stream.heartbeat: expected a duration such as 15s, off, or an object with every and event; did you mean 5s?",
    ]);
  });
});
