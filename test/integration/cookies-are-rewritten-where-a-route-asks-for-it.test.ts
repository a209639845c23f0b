import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { startGatewayTo } from "../support/gateway.ts";
import { handshake, switching } from "../support/handshake.ts";
import { openHttp2, startSecureGatewayTo } from "../support/http2-client.ts";
import { openRaw, rawRequest } from "../support/raw-client.ts";

interface Rewrite {
  readonly stripPrefix?: string;
  readonly addPrefix?: string;
  readonly cookies?: Readonly<Record<string, unknown>>;
}

const cookiesOf = (text: string) => [...text.matchAll(/^set-cookie: (.*)\r$/gim)].map(([, value]) => value);

async function cookiesBehind(rewrite: Rewrite, cookies: readonly string[], fields = ""): Promise<unknown[]> {
  const backend = await startBackend((request) => request.respond(200, { "Set-Cookie": cookies }, "ok"));
  const trusted = { trustedProxies: fields === "" ? [] : ["127.0.0.1"] };
  const gateway = await startGatewayTo(backend.url, { rewrite }, trusted);
  const bytes = `GET /app/x HTTP/1.1\r\nHost: app.example\r\n${fields}Connection: close\r\n\r\n`;
  return cookiesOf((await rawRequest(gateway.port, bytes)).text);
}

const COOKIES = [
  "a=1",
  "b=2; Path=/; Domain=backend.internal; HttpOnly",
  "c=3;path = /account ;DOMAIN=.Backend.Internal;Secure; SameSite=None",
  'd="x; Domain=other.example; Path=/"; Expires=Thu, 01 Jan 2032 00:00:00 GMT',
  "e=5; Domain=; Path=",
  "__Host-f=6; Path=/; Secure",
  "g=7; Domain; Path=relative; Max-Age=1",
];

test("without the keys of rewrite.cookies, no byte changes", async () => {
  const strange = [...COOKIES, "", ";;; =", "h=\t8 ;  Path=/ "].filter((cookie) => cookie.trim() === cookie);
  expect(await cookiesBehind({ stripPrefix: "/app" }, strange)).toEqual(strange);
});

test.each([
  ["app.example.com", "Domain=app.example.com", "DOMAIN=app.example.com", " Domain=app.example.com"],
  [
    { "backend.internal": "app.example.com" },
    "Domain=app.example.com",
    "DOMAIN=app.example.com",
    " Domain=other.example",
  ],
  [{ ".BACKEND.internal": "remove" }, undefined, undefined, " Domain=other.example"],
  ["remove", undefined, undefined, undefined],
])("domain: %j replaces the values of Domain", async (domain, second, third, fourth) => {
  const part = (text: string | undefined) => (text === undefined ? "" : `${text};`);
  const with4 = fourth === undefined ? "" : `${fourth};`;
  expect(await cookiesBehind({ cookies: { domain } }, COOKIES)).toEqual([
    "a=1",
    `b=2; Path=/;${part(second && ` ${second}`)} HttpOnly`,
    `c=3;path = /account ;${part(third)}Secure; SameSite=None`,
    `d="x;${with4} Path=/"; Expires=Thu, 01 Jan 2032 00:00:00 GMT`,
    ...COOKIES.slice(4),
  ]);
});

test("path: auto gives paths the prefix that the route removes, except those of __Host- cookies", async () => {
  expect(await cookiesBehind({ stripPrefix: "/app", cookies: { path: "auto" } }, COOKIES)).toEqual([
    "a=1",
    "b=2; Path=/app; Domain=backend.internal; HttpOnly",
    "c=3;path = /app/account;DOMAIN=.Backend.Internal;Secure; SameSite=None",
    'd="x; Domain=other.example; Path=/app/"; Expires=Thu, 01 Jan 2032 00:00:00 GMT',
    ...COOKIES.slice(4),
  ]);
});

const AUTO = { path: "auto" };

test.each<[string, string, Rewrite, string?]>([
  ["/v1/account", "/app/account", { stripPrefix: "/app", addPrefix: "/v1", cookies: AUTO }],
  ["/v1", "/app", { stripPrefix: "/app", addPrefix: "/v1", cookies: AUTO }],
  ["/", "/app", { stripPrefix: "/app", addPrefix: "/v1", cookies: AUTO }],
  ["/v12", "/v12", { stripPrefix: "/app", addPrefix: "/v1", cookies: AUTO }],
  ["/v1", "/", { addPrefix: "/v1", cookies: AUTO }],
  ["/x/", "/x/", { stripPrefix: "/other", cookies: AUTO }],
  ["/x/", "/outer/app/x/", { stripPrefix: "/app", cookies: AUTO }, "X-Forwarded-Prefix: /outer\r\n"],
  ["/app", "/app", { stripPrefix: "/app", cookies: AUTO }],
  ["/app/account", "/app/account", { stripPrefix: "/app", addPrefix: "/v1", cookies: AUTO }],
  ["/apple", "/app/apple", { stripPrefix: "/app", cookies: AUTO }],
  ["/outer/app/x", "/outer/app/x", { stripPrefix: "/app", cookies: AUTO }, "X-Forwarded-Prefix: /outer\r\n"],
  ["/two/some", "/some", { cookies: { path: { "/two/": "/" } } }],
  ["/two", "/", { cookies: { path: { "/two/": "/" } } }],
  ["/twofold", "/twofold", { cookies: { path: { "/two": "/" } } }],
  ["/a/b/c", "/first/c", { cookies: { path: { "/a/b": "/first", "/a": "/second" } } }],
  ["/a/c", "/second/c", { cookies: { path: { "/a/b": "/first", "/a": "/second" } } }],
  ["/", "/app", { cookies: { path: { "/": "/app/" } } }],
])("Path=%s becomes %s with %j", async (from, to, rewrite, fields) => {
  expect(await cookiesBehind(rewrite, [`a=1; Path=${from}`], fields)).toEqual([`a=1; Path=${to}`]);
});

test("over HTTP/2, of an event stream and of an upgrade", async () => {
  const cookie = "a=1; Path=/; Domain=backend.internal";
  const backend = await startBackend((request) => {
    if (request.field("upgrade") === undefined) {
      request.openStream({ "Set-Cookie": cookie });
      request.endStream();
    } else request.send(switching({ "Set-Cookie": cookie }));
  });
  const route = {
    rewrite: { stripPrefix: "/app", cookies: { domain: "remove", path: "auto" } },
    websocket: true,
  };
  const secure = await startSecureGatewayTo(backend.url, route);
  const response = (await openHttp2(secure.port)).request({ ":path": "/app/x" });
  expect((await response.opened())["set-cookie"]).toEqual(["a=1; Path=/app"]);
  const gateway = await startGatewayTo(backend.url, route);
  const client = await openRaw(gateway.port);
  client.send(handshake("/app/x"));
  await client.received("\r\n\r\n");
  expect(client.text).toMatch(/^HTTP\/1\.1 101 /);
  expect(cookiesOf(client.text)).toEqual(["a=1; Path=/app"]);
});
