import { expect, test } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { startIssuer } from "../support/issuer.ts";

const CODE = "c".repeat(64);
const APPS = { shop: { key: "shop", secret: "s".repeat(16), appCodes: [CODE] } };

/** Spellings that a CGI, WSGI or Rack backend reads as the same name. */
const FORGED: [string, string][] = [
  ["X-App-Id", "admin"],
  ["x_app_id", "admin"],
  ["X.App.Id", "admin"],
  ["X-User", "root"],
  ["X_User", "root"],
  ["x.user", "root"],
  ["X-Roles", "admin"],
  ["X~App'Id", "admin"],
  ["x+app|id", "admin"],
  ["X!User", "root"],
];

const IDENTITY = /^x[^0-9a-z](?:app[^0-9a-z]id|user|roles)$/i;

test("a backend gets the identity from the gateway alone, whatever the client sends", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const claims = { "X-User": "sub", "X-Roles": "roles", "X-Tenant": "tenant" };
  const gateway = await startGateway({
    apps: APPS,
    routes: {
      open: { match: { path: "/open" }, upstream: backend.url },
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        auth: { appCode: true, jwt: issuer.config({ claims }) },
      },
    },
  });
  const identityAt = async (path: string, headers: [string, string][]) => {
    expect((await fetch(`${gateway.url}${path}`, { headers: [...FORGED, ...headers] })).status).toBe(200);
    const { head } = await backend.nextRequest();
    return head.fields.filter(([name]) => IDENTITY.test(name) || name === "X-Tenant");
  };
  const token = await issuer.token({ claims: { roles: ["reader"], tenant: "é" } });

  expect(await identityAt("/", [["Authorization", `Bearer ${token}`]])).toEqual([
    ["X-User", "anna"],
    ["X-Roles", '["reader"]'],
    // UTF-8 bytes, which the fixture reads one by one.
    ["X-Tenant", Buffer.from("é").toString("latin1")],
  ]);
  expect(await identityAt("/", [["X-Apig-AppCode", CODE]])).toEqual([["X-App-Id", "shop"]]);
  // This route verifies no client, but a backend may still trust X-App-Id; the other fields have no meaning there.
  const open = await identityAt("/open", []);
  expect(open.filter(([name]) => /app/i.test(name))).toEqual([]);
  expect(open).toHaveLength(5);
});

test("a claim that a header field cannot carry unchanged is refused", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const jwt = issuer.config({ claims: { "X-User": "sub" } });
  const gateway = await startGatewayTo(backend.url, { auth: { jwt } });
  for (const sub of ["root\r\nX-App-Id: admin", "root ", " root", "ro\u0000ot", "\u00a0root"]) {
    const authorization = `Bearer ${await issuer.token({ claims: { sub } })}`;
    expect((await fetch(gateway.url, { headers: { authorization } })).status, sub).toBe(401);
  }
  expect(backend.requests).toHaveLength(0);
});

test("the credential is not forwarded, unless the route says so", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const jwt = issuer.config({ cookie: "session" });
  const route = { upstream: backend.url, auth: { appCode: true, jwt } };
  const gateway = await startGateway({
    apps: APPS,
    routes: {
      main: { match: { path: "/*" }, ...route },
      forwarding: { match: { path: "/forward" }, ...route, auth: { ...route.auth, forward: true } },
    },
  });
  const token = await issuer.token();
  const heard = async (path: string, headers: Record<string, string>) => {
    expect((await fetch(`${gateway.url}${path}`, { headers })).status).toBe(200);
    const { head } = await backend.nextRequest();
    return head.fields.filter(([name]) => /^(?:authorization|cookie|x[-_]apig.*)$/i.test(name));
  };
  const authorization = `Bearer ${token}`;
  const cookie = `theme=dark; session=${token}; lang=en`;

  expect(await heard("/", { authorization })).toEqual([]);
  expect(await heard("/", { "X-Apig-AppCode": CODE })).toEqual([]);
  expect(await heard("/", { cookie })).toEqual([["Cookie", "theme=dark; lang=en"]]);
  expect(await heard("/", { cookie: `session=${token}` })).toEqual([]);
  // A credential that was not used for admission belongs to the backend.
  expect(await heard("/", { "X-Apig-AppCode": CODE, authorization: "Basic YTpi" })).toEqual([
    ["authorization", "Basic YTpi"],
  ]);
  expect(await heard("/forward", { authorization })).toEqual([["authorization", authorization]]);
  expect(await heard("/forward", { cookie })).toEqual([["cookie", cookie]]);
});
