import { expect, test } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { type Backend, startBackend } from "../support/backend.ts";
import { startGateway } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { type Issuer, startIssuer } from "../support/issuer.ts";
import { rawRequest } from "../support/raw-client.ts";

const PAGE = "https://app.example.com";
const EVIL = "https://evil.example";

const start = (backend: Backend, issuer: Issuer) => {
  const route = {
    upstream: backend.url,
    websocket: true,
    auth: { jwt: issuer.config({ cookie: "session" }), ticket: {} },
  };
  return startGateway({
    routes: {
      plain: { match: { path: "/plain" }, ...route },
      any: { match: { path: "/any" }, ...route, cors: true },
      shared: {
        match: { path: "/shared" },
        ...route,
        cors: { allowOrigins: [PAGE], allowCredentials: true },
      },
      bare: { match: { path: "/bare" }, ...route, cors: { allowOrigins: [PAGE] } },
    },
  });
};

test("a cookie opens a route only for pages of its own origin, and for those that cors allows with credentials", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer);
  const cookie = `session=${await issuer.token()}`;
  const send = async (path: string, headers: Record<string, string>, method = "GET") =>
    (await fetch(`${gateway.url}${path}`, { method, headers: { cookie, ...headers } })).status;

  // Navigations and GET requests of the same origin have no Origin field.
  expect(await send("/plain", {})).toBe(200);
  expect(await send("/plain", { origin: gateway.url })).toBe(200);
  expect(await send("/shared", { origin: PAGE })).toBe(200);
  for (const [path, origin] of [
    ["/plain", EVIL],
    ["/plain", "null"],
    ["/shared", EVIL],
    // Any origin may read that route, but not with the user's cookie.
    ["/any", EVIL],
    ["/bare", PAGE],
  ] as const) {
    expect(await send(path, { origin }), `${origin} on ${path}`).toBe(401);
    expect(await send(`${path}?ticket`, { origin }, "POST"), `ticket for ${origin}`).toBe(401);
  }
  expect(backend.requests).toHaveLength(3);
});

test("a page of another origin cannot open a WebSocket with the user's cookie, with or without cors", async () => {
  const backend = await startBackend((request) => request.send(switching()));
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer);
  const token = await issuer.token();
  const open = async (path: string, fields: Record<string, string>) => {
    const bytes = handshake(path, { Host: gateway.host, ...fields });
    return (await rawRequest(gateway.port, bytes, { until: "\r\n\r\n" })).status;
  };
  const Cookie = `session=${token}`;

  expect(await open("/plain", { Cookie, Origin: gateway.url })).toBe(101);
  expect(await open("/shared", { Cookie, Origin: PAGE })).toBe(101);
  for (const path of ["/plain", "/any", "/shared", "/bare"]) {
    expect(await open(path, { Cookie, Origin: EVIL }), path).toBe(401);
  }
  // Control: a token that a script must know is not an ambient credential.
  expect(await open("/any", { Authorization: `Bearer ${token}`, Origin: EVIL })).toBe(101);
});

test("a cookie that occurs twice is refused: a sibling domain may have set one of them", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const gateway = await start(backend, issuer);
  const [one, other] = [await issuer.token(), await issuer.token({ claims: { sub: "eve" } })];
  const send = async (headers: [string, string][]) =>
    (await fetch(`${gateway.url}/plain`, { headers })).status;
  expect(await send([["Cookie", `session=${one}; session=${other}`]])).toBe(401);
  expect(await send([["Cookie", `a=b; session=${one}; Session=${other}`]])).toBe(200);
  expect(await send([["Cookie", `session="${one}"`]])).toBe(200);
  expect(await send([["Cookie", `xsession=${one}`]])).toBe(401);
});
