import { expect, test } from "vitest";
import { startPlainBackend } from "../support/answers.ts";
import { rawSigned, WEB_CLIENT } from "../support/app-signer.ts";
import { startBackend } from "../support/backend.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { startIssuer } from "../support/issuer.ts";
import { startLighttpd } from "../support/lighttpd.ts";
import { rawRequest } from "../support/raw-client.ts";

// CGI (RFC 3875 section 4.1.18) writes names in capitals, with `_` for `-`. lighttpd replaces every character except
// letters and digits, so that many spellings are the same name for its scripts.

const CODE = "c".repeat(64);
const APPS = {
  shop: { key: "shop", secret: "s".repeat(32), appCodes: [CODE] },
  web: { key: WEB_CLIENT.key, secret: WEB_CLIENT.secret },
};

/** The characters of a field name except letters and digits (RFC 9110 section 5.6.2). */
const SEPARATORS = [..."!#$%&'*+-.^_`|~"];

const spelledWith = (separator: string, name: string) => name.replaceAll("-", separator);

test("no spelling of a field that the gateway sets reaches a CGI script of lighttpd", async () => {
  const cgi = await startLighttpd();
  const gateway = await startGateway({
    apps: APPS,
    routes: {
      open: { match: { path: "/open/*" }, upstream: cgi, rewrite: { stripPrefix: "/open" } },
      guarded: {
        match: { path: "/env.sh" },
        upstream: cgi,
        auth: { appCode: true },
        headers: { request: { remove: ["X-Debug-User"], set: { "X-Site-Role": "guest" } } },
      },
    },
  });
  const everywhere = [
    "Proxy",
    "X-App-Id",
    "X-Forwarded-For",
    "X-Forwarded-Port",
    "X-Real-IP",
    "X-Request-Id",
  ];
  const names = [...everywhere, "X-Apig-AppCode", "X-HTTP-Method-Override", "X-Debug-User", "X-Site-Role"];
  const ask = async (path: string, forged: readonly string[], separator: string, more = "") => {
    const lines = forged.map((name) => `${spelledWith(separator, name)}: forged\r\n`).join("");
    const head = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n`;
    return await rawRequest(gateway.port, `${head}${more}${lines}\r\n`);
  };
  for (const separator of SEPARATORS) {
    const open = await ask("/open/env.sh", everywhere, separator);
    expect(open.status, separator).toBe(200);
    expect(open.text, separator).not.toContain("forged");
    // Two app codes are refused, so only other spellings are sent beside it.
    if (separator === "-") continue;
    const guarded = await ask("/env.sh", names, separator, `X-Apig-AppCode: ${CODE}\r\n`);
    expect(guarded.text, separator).not.toContain("forged");
    expect(guarded.text).toMatch(/^HTTP_X_APP_ID=shop$/m);
    expect(guarded.text).toMatch(/^HTTP_X_REAL_IP=127\.0\.0\.1$/m);
    expect(guarded.text).toMatch(/^HTTP_X_SITE_ROLE=guest$/m);
  }
  // The control: lighttpd reads these spellings as the same name.
  const odd = await fetch(`${gateway.url}/env.sh`, {
    headers: { "X-Apig-AppCode": CODE, "X~Any'Name": "1" },
  });
  expect(await odd.text()).toMatch(/^HTTP_X_ANY_NAME=1$/m);
});

test("fields with odd names that match no other field are forwarded unchanged", async () => {
  const backend = await startPlainBackend();
  const gateway = await startGateway({
    apps: APPS,
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { appCode: true } } },
  });
  const odd = { "X~Trace'Id": "1", X_Mode: "2", "Sec.Odd": "3", x_app_identity: "4", X_Apig_Mode: "5" };
  await fetch(gateway.url, { headers: { ...odd, "X-Apig-AppCode": CODE } });
  const { head } = await backend.nextRequest();
  for (const [name, value] of Object.entries(odd)) expect(head.fields).toContainEqual([name, value]);
});

test("a forwarded credential is forwarded without its other spellings", async () => {
  const backend = await startPlainBackend();
  const issuer = await startIssuer();
  const jwt = issuer.config({ header: "X_Token" });
  const gateway = await startGateway({
    apps: APPS,
    routes: {
      code: { match: { path: "/code" }, upstream: backend.url, auth: { appCode: true, forward: true } },
      token: { match: { path: "/token" }, upstream: backend.url, auth: { jwt, forward: true } },
    },
  });
  const heard = async (path: string, headers: Record<string, string>) => {
    expect((await fetch(`${gateway.url}${path}`, { headers })).status).toBe(200);
    const { head } = await backend.nextRequest();
    return head.fields.filter(([name]) => /appcode|token/i.test(name));
  };
  const twins = { X_Apig_AppCode: "forged", "X-Apig~AppCode": "forged" };
  expect(await heard("/code", { "X-Apig-AppCode": CODE, ...twins })).toEqual([["X-Apig-AppCode", CODE]]);
  // For a name with an underscore in the route file, the hyphen is the other spelling.
  const token = await issuer.token();
  expect(await heard("/token", { X_Token: token, "X-Token": "forged" })).toEqual([["X_Token", token]]);
});

test("a field that a backend could read as a signed field is refused, unless it is signed itself", async () => {
  const backend = await startPlainBackend();
  const gateway = await startGateway({
    apps: APPS,
    routes: { main: { match: { path: "/*" }, upstream: backend.url, auth: { app: ["web"] } } },
  });
  const ask = async (headers: Record<string, string>, more: string[]) => {
    const unsigned = { method: "GET", host: gateway.host, path: "/", headers };
    const edit = (lines: readonly string[]) => [...lines, ...more, "Connection: close"];
    return (await rawRequest(gateway.port, rawSigned(unsigned, { edit }))).status;
  };
  expect(await ask({ "X-Role": "user" }, [])).toBe(200);
  expect(await ask({ "X-Role": "user" }, ["X~Other: 1"])).toBe(200);
  expect(await ask({ "X-Role": "user" }, ["X_Role: admin"])).toBe(401);
  expect(await ask({ "X-Role": "user" }, ["X~Role: admin"])).toBe(401);
  expect(await ask({ "X-Role": "user", X_Role: "user" }, [])).toBe(200);
});

test("the app field of a trusted proxy is forwarded only in its own spelling", async () => {
  const backend = await startPlainBackend();
  const gateway = await startGatewayTo(backend.url, {}, { trustedProxies: ["127.0.0.1"] });
  await fetch(gateway.url, { headers: { "X-App-Id": "shop", X_App_Id: "admin", "X~App.Id": "admin" } });
  const { head } = await backend.nextRequest();
  expect(head.fields.filter(([name]) => /app/i.test(name))).toEqual([["X-App-Id", "shop"]]);
});

const TRAILERS: readonly (readonly [name: string, value: string])[] = [
  ...SEPARATORS.map((separator) => [spelledWith(separator, "X-App-Id"), "admin"] as const),
  ["X_User", "root"],
  ["X-User", "root"],
  ["X-Request-Id", "forged"],
  ["X~Real~IP", "6.6.6.6"],
  ["X_Forwarded_For", "6.6.6.6"],
  ["Forwarded", "for=6.6.6.6"],
  ["X-HTTP-Method-Override", "DELETE"],
  ["Authorization", "Bearer x"],
  ["X_Token", "x"],
  ["X-Token", "x"],
  ["X_Sdk_Date", "1"],
  ["X-Apig~AppCode", CODE],
  ["X-Site_Role", "admin"],
  ["Te", "trailers"],
  ["Transfer_Encoding", "chunked"],
  ["Content_Length", "5"],
  ["Cookie", "a=b"],
  ["Cache-Control", "no-store"],
];
const ROUTE = { headers: { request: { remove: ["X-Site-Role"] } } };

test("trailers of a request contain neither identity fields nor fields that the gateway decides on", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then(() => request.respond(200, {}, "ok"));
  });
  const issuer = await startIssuer();
  const jwt = issuer.config({ header: "X-Token", claims: { "X-User": "sub" } });
  const gateway = await startGatewayTo(backend.url, { ...ROUTE, auth: { jwt, forward: true } });
  const lines = TRAILERS.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = `Host: a\r\nX-Token: ${await issuer.token()}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n`;
  const body = `2\r\nhi\r\n0\r\n${lines}X_Fine: 1\r\nX-Sum: 2\r\n\r\n`;
  expect((await rawRequest(gateway.port, `POST / HTTP/1.1\r\n${head}\r\n${body}`)).status).toBe(200);
  expect(backend.requests[0]?.trailers).toEqual([
    ["X_Fine", "1"],
    ["X-Sum", "2"],
  ]);
  expect(backend.requests[0]?.fieldLines("x-user")).toEqual(["anna"]);
});

test("trailers over HTTP/2, on a route without auth, contain them neither", async () => {
  const backend = await startBackend((request) => {
    void request.wholeBody().then(() => request.respond(200, {}, "ok"));
  });
  const gateway = await startSecureGatewayTo(backend.url, ROUTE);
  const client = await openHttp2(gateway.port);
  const stream = client.session.request({ ":path": "/", ":method": "POST" }, { waitForTrailers: true });
  // Node refuses to send a few of these names.
  const isSendable = ([name]: readonly [string, string]) =>
    !/^(?:te|transfer.encoding|x.user|x.token)$/i.test(name);
  const fields = TRAILERS.filter(isSendable).map(([name, value]) => [name.toLowerCase(), value]);
  stream.once("wantTrailers", () => stream.sendTrailers({ ...Object.fromEntries(fields), "x-sum": "2" }));
  stream.end("hi");
  stream.resume();
  const request = await backend.nextRequest();
  expect((await request.wholeBody()).toString()).toBe("hi");
  expect(request.trailers).toEqual([["x-sum", "2"]]);
});
