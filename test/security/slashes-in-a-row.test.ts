import { describe, expect, test } from "vitest";
import { signWithApigSdk, WEB_CLIENT } from "../support/app-signer.ts";
import { startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { handshake } from "../support/handshake.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { startIssuer } from "../support/issuer.ts";
import { startNginx } from "../support/nginx.ts";
import { rawRequest } from "../support/raw-client.ts";

// nginx merges slashes before it chooses a location (`merge_slashes on` is the default): a guard that does not do so
// admits `//admin/x`.

const CODE = "c".repeat(64);
const APPS = { shop: { ...WEB_CLIENT, appCodes: [CODE] } };

const ask = async (port: number, target: string, fields = "", method = "GET") => {
  const bytes = `${method} ${target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n${fields}\r\n`;
  const { status, text } = await rawRequest(port, bytes);
  return { status, body: text.split("\r\n\r\n")[1] ?? "", text };
};

/** A default nginx behind a gateway that guards /admin/* and admits all other paths. */
async function startGuarded() {
  const text = `server { listen \${PLAIN_LISTEN}; # \${SLUICE_UPSTREAM}
    location /admin/ { return 200 "SECRET $request_uri"; } location / { return 200 "public $request_uri"; } }`;
  const nginx = await startNginx({ upstream: "", template: { text } });
  return startGateway({
    routes: {
      admin: {
        match: { path: "/admin/*" },
        upstream: nginx.url,
        websocket: true,
        auth: { app: ["shop"], appCode: true },
      },
      rest: { match: { path: "/*" }, upstream: nginx.url, websocket: true },
    },
    apps: APPS,
  });
}

describe("nginx reads these as /admin/x, and so does routing:", () => {
  test.each(["/admin/x", "//admin/x", "///admin//x", "//%61dmin/x", "/admin///x", "http://a.test//admin/x"])(
    "%s",
    async (target) => {
      const gateway = await startGuarded();
      expect((await ask(gateway.port, target)).status).toBe(401);
      const upgrade = await rawRequest(gateway.port, handshake(target, { Host: "a.test" }), { until: "}" });
      expect(upgrade.status).toBe(401);
      const let_in = await ask(gateway.port, target, `X-Apig-AppCode: ${CODE}\r\n`);
      // Unchanged: a signature covers the path, and a backend may distinguish the two.
      expect([let_in.status, let_in.body]).toEqual([200, `SECRET ${target.replace("http://a.test", "")}`]);
    },
  );

  test("over HTTP/2", async () => {
    const backend = await startBackend((request) => request.respond());
    const gateway = await startSecureGatewayTo(backend.url, { match: { path: "/admin/*" } });
    const client = await openHttp2(gateway.port);
    const exchange = client.request({ ":path": "//admin//x" });
    expect((await exchange.opened())[":status"]).toBe(200);
    expect(backend.requests[0]?.target).toBe("//admin//x");
  });
});

test("an exact path matches despite repeated slashes, and a path in a route file may have them", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGateway({
    routes: {
      exact: { match: { path: "/a/b" }, upstream: backend.url },
      spelt: { match: { path: "/c//d" }, upstream: backend.url },
    },
  });
  for (const [target, status] of [
    ["//a///b", 200],
    ["/a/b//", 404],
    ["/c/d", 200],
    ["/c///d", 200],
  ] as const)
    expect([target, (await ask(gateway.port, target)).status]).toEqual([target, status]);
});

test.each([
  ["/api/x", "/x"],
  ["//api/x", "/x"],
  ["///%61pi///v1/x//y", "/x//y"],
  ["/api/v1", "/"],
  ["//api//v1/", "/"],
  ["//api//v1//x", "//x"],
])("rewrite.stripPrefix removes the prefix of %s as routing matched it", async (target, seen) => {
  const backend = await startBackend((request) => request.respond());
  const route = (path: string, stripPrefix: string) => {
    return { match: { path }, upstream: backend.url, rewrite: { stripPrefix } };
  };
  const gateway = await startGateway({
    routes: { v1: route("/api/v1/*", "/api/v1"), api: route("/api/*", "/api") },
  });
  expect((await ask(gateway.port, target)).status).toBe(200);
  expect(backend.requests[0]?.target).toBe(seen);
});

test("a signature covers the bytes as sent", async () => {
  const backend = await startBackend((request) => request.respond());
  const gateway = await startGateway({
    routes: { admin: { match: { path: "/admin/*" }, upstream: backend.url, auth: { app: ["shop"] } } },
    apps: APPS,
  });
  const sign = (path: string) =>
    Object.entries(signWithApigSdk({ method: "GET", host: "a.test", path }, WEB_CLIENT).headers)
      .filter(([name]) => name.toLowerCase() !== "host")
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("");
  expect((await ask(gateway.port, "//admin//x", sign("//admin//x"))).status).toBe(200);
  expect((await ask(gateway.port, "//admin//x", sign("/admin/x"))).status).toBe(401);
  expect((await ask(gateway.port, "/admin/x", sign("//admin//x"))).status).toBe(401);
});

test("preflights and requests for a ticket find the same route", async () => {
  const backend = await startBackend((request) => request.respond());
  const issuer = await startIssuer();
  const origin = "https://app.example.com";
  const gateway = await startGateway({
    routes: {
      feed: {
        match: { path: "/feed/*", methods: ["GET"] },
        upstream: backend.url,
        auth: { jwt: issuer.config(), ticket: {} },
        cors: { allowOrigins: [origin] },
      },
      rest: { match: { path: "/*" }, upstream: backend.url },
    },
  });
  const preflight = await ask(
    gateway.port,
    "//feed/a",
    `Origin: ${origin}\r\nAccess-Control-Request-Method: GET\r\n`,
    "OPTIONS",
  );
  expect(preflight.text.toLowerCase()).toContain(`access-control-allow-origin: ${origin}`);
  const bearer = `Authorization: Bearer ${await issuer.token()}\r\nContent-Length: 0\r\n`;
  const issued = await ask(gateway.port, "//feed/a?ticket", bearer, "POST");
  expect(issued.status).toBe(201);
  const { ticket } = JSON.parse(issued.body) as { readonly ticket: string };
  expect((await ask(gateway.port, `//feed/a?ticket=${ticket}`)).status).toBe(200);
  expect(backend.requests.map(({ target }) => target)).toEqual(["//feed/a"]);
});

describe("path parameters, which Tomcat and Jetty drop before they route:", () => {
  const start = async (guard: Readonly<Record<string, unknown>>) => {
    const backend = await startBackend((request) => request.respond());
    const gateway = await startGateway({
      routes: {
        admin: { match: { path: "/admin/*" }, upstream: backend.url, ...guard },
        rest: { match: { path: "/*" }, upstream: backend.url },
      },
      apps: APPS,
    });
    return { backend, gateway };
  };

  test.each([
    ["auth", { auth: { app: ["shop"] } }],
    ["access", { access: { deny: ["127.0.0.1"] } }],
  ])("path parameters cannot bypass %s", async (_, guard) => {
    const { backend, gateway } = await start(guard);
    for (const target of [
      "/admin;a/x",
      "/admin;/x",
      "/;a/admin/x",
      "/;/admin;b=c;d/x",
      "/admin%3Ba/x",
      "/;//admin",
    ])
      expect([target, (await ask(gateway.port, target)).status]).toEqual([target, 400]);
    expect(backend.requests).toEqual([]);
  });

  test("are forwarded if both readings match the same route or an open one", async () => {
    const { backend, gateway } = await start({ auth: { app: ["shop"] } });
    const open = await start({});
    const targets = ["/x;a", "/maps/tile;z=3/1", "/page;jsessionid=1F/admin", "/x;/y", "/a?x;/admin"];
    for (const target of targets) expect((await ask(gateway.port, target)).status).toBe(200);
    expect(backend.requests.map(({ target }) => target)).toEqual(targets);
    expect((await ask(open.gateway.port, "/admin;a/x")).status).toBe(200);
    expect((await ask(gateway.port, "/admin/x;a")).status).toBe(401);
  });
});
