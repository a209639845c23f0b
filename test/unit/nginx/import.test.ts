import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../src/config/inline.ts";
import type { RouteInput } from "../../../src/config/route-schema.ts";
import { generateSite } from "../../../src/nginx/generate/site.ts";
import { formatNote } from "../../../src/nginx/import/notes.ts";
import { type Imported, importRoutes } from "../../../src/nginx/import/routes.ts";
import { ASSUMED_VERSION } from "../../../src/nginx/version.ts";
import { inlineConfig } from "../../support/gateway.ts";
import { configurationOf } from "./configurations.ts";

const imported = (text: string, server?: string): Imported =>
  importRoutes(configurationOf({ "n.conf": text }), { version: ASSUMED_VERSION, server });

/** Imports the routes of a configuration; each must pass the schema. */
function routesOf(text: string): RouteInput[] {
  const { routes } = imported(text);
  if (routes.length > 0) {
    parseConfig(
      {
        server: { listen: 7999 },
        routes: Object.fromEntries(routes.map(({ name, route }) => [name, route])),
      },
      {},
    );
  }
  return routes.map(({ route }) => route);
}

const notesOf = (text: string): string[] => {
  const { routes, left } = imported(text);
  return [...routes.flatMap(({ notes }) => notes), ...left].map(formatNote);
};

const APP = "http://127.0.0.1:9000";
const KEEPS_HOST = "proxy_set_header Host $http_host;";
const server = (text: string, around = "") => `${around} server { ${KEEPS_HOST} ${text} }`;
const location = (text: string, around = "") => server(`location /x/ { proxy_pass ${APP}; ${text} }`, around);
const PLAIN = { match: { path: "/x/*" }, upstream: APP };

describe("locations become matches", () => {
  test.each([
    ["/", ["/*"]],
    ["/x/", ["/x/*"]],
    ["^~ /x/", ["/x/*"]],
    ["/x", ["/x/*"]],
    ["= /x", ["/x"]],
    ['"/a b*%/"', ["/a%20b%2A%25/*"]],
    ["~ ^/(a|b)/", ["/a/*", "/b/*"]],
    ["~ ^/(?:a|b)(/|$)", ["/a/*", "/b/*"]],
    ["~ ^/v1/(a|b-c)$", ["/v1/a", "/v1/b-c"]],
    ["~ ^/a\\.json$", ["/a.json"]],
    ["~ ^/a/.*$", ["/a/*"]],
    ["~* ^/a/", ["/a/*"]],
    ["~ \\.php$", []],
    ["~ ^/(a|b(c|d))/", []],
    ["~ ^/v[12]/", []],
    ["@name", []],
  ])("%s", (pattern, paths) => {
    const text = server(`location ${pattern} { proxy_pass ${APP}; }`);
    expect(routesOf(text).map(({ match }) => match.path)).toEqual(paths);
    if (paths.length === 0) expect(notesOf(text).join("\n")).toContain("not imported: ");
  });

  test("for all names of the server together, and names below a domain", () => {
    const text = server(
      `server_name A.example *.b.example ~^c$ .d.example e.*; location / { proxy_pass ${APP}; }`,
    );
    const host = ["a.example", "*.b.example", "d.example", "*.d.example"];
    expect(routesOf(text).map(({ match }) => match)).toEqual([{ host, path: "/*" }]);
    expect(notesOf(text).filter((note) => note.includes("is a pattern"))).toHaveLength(2);
    expect(routesOf(text.replaceAll(/\S*[Abd]\.example/g, "")).length).toBe(0);
  });

  test("for the names of each server, if two servers share some of them", () => {
    const location = (names: string, to: string) =>
      `server { server_name ${names}; location / { proxy_pass ${to}; } }`;
    const matches = routesOf(
      `${location("a.example b.example", APP)} ${location("b.example c.example", APP)}`,
    );
    // The first server with a name has its requests.
    expect(matches.map(({ match }) => match.host)).toEqual([["a.example", "b.example"], "c.example"]);
  });

  test("once if servers on two ports have the same location", () => {
    const one = `server { listen 80; location /x/ { ${KEEPS_HOST} proxy_pass ${APP}; } }`;
    expect(routesOf(`${one} ${one.replace("80", "81")}`)).toEqual([PLAIN]);
    const other = one.replace("80", "81").replace("9000", "9001");
    expect(routesOf(`${one} ${other}`)).toEqual([PLAIN]);
    expect(notesOf(`${one} ${other}`).join("\n")).toContain("has the same host and path");
  });

  test("with the allowed methods", () => {
    const route = { ...PLAIN, match: { path: "/x/*", methods: ["GET", "POST"] } };
    expect(routesOf(location("limit_except GET POST { deny all; }"))).toEqual([route]);
    expect(routesOf(location("if ($request_method !~ ^(GET|POST)$) { return 405; }"))).toEqual([route]);
  });
});

describe("the path of proxy_pass, or a rewrite, becomes rewrite", () => {
  test.each([
    ["/api/", "/", { stripPrefix: "/api" }],
    ["/api/", "/v1/", { stripPrefix: "/api", addPrefix: "/v1" }],
    ["/api", "/v1", { stripPrefix: "/api", addPrefix: "/v1" }],
    ["/", "/v1/", { addPrefix: "/v1" }],
    ["/", "/", undefined],
    ["/api/", "/api/", undefined],
    ["/api/", "$request_uri", undefined],
    ["= /api/x", "/x", { stripPrefix: "/api" }],
    ["= /x", "/v1/x", { addPrefix: "/v1" }],
  ])("location %s, %s", (pattern, uri, rewrite) => {
    const [route] = routesOf(server(`location ${pattern} { proxy_pass ${APP}${uri}; }`));
    expect(route?.rewrite).toEqual(rewrite);
  });

  test.each([
    ["^/x/(.*)$ /$1 break", { stripPrefix: "/x" }],
    ["^/x/(.*) /y/$1 break", { stripPrefix: "/x", addPrefix: "/y" }],
    ["^/x(/.*)$ $1 break", { stripPrefix: "/x" }],
    ["^/x/?(.*)$ /$1 break", { stripPrefix: "/x" }],
    ["^(.*)$ /y$1 break", { addPrefix: "/y" }],
  ])("rewrite %s", (words, rewrite) => {
    expect(routesOf(location(`rewrite ${words};`))).toEqual([{ ...PLAIN, rewrite }]);
  });

  test("unless no path of the location begins with the one that it changes", () => {
    const one = `location ~ ^/(x|z)/ { rewrite ^/x/(.*)$ /y/$1 break; proxy_pass ${APP}; }`;
    const rewrites = routesOf(server(one)).map((route) => route.rewrite);
    expect(rewrites).toEqual([{ stripPrefix: "/x", addPrefix: "/y" }, undefined]);
  });

  test.each([
    `location /api/ { proxy_pass ${APP}/v1; }`,
    `location = /x { proxy_pass ${APP}/y; }`,
    `location /api/ { proxy_pass ${APP}/?a=b; }`,
    "location / { proxy_pass http://$name; }",
    `location / { rewrite ^/x/(.*)$ /$1 last; proxy_pass ${APP}; }`,
    `location / { rewrite ^/x(.*)$ /$1 break; proxy_pass ${APP}; }`,
    `location / { rewrite ^/(\\d+)/(.*)$ /$2/$1 break; proxy_pass ${APP}; }`,
  ])("not imported: %s", (text) => {
    expect(routesOf(server(text))).toEqual([]);
    expect(notesOf(server(text)).join("\n")).toMatch(/not imported: .*by hand/);
  });
});

test("one location that cannot become a route does not affect the others", () => {
  const text = server(
    `location /x/ { proxy_pass ${APP}; } location /y { proxy_pass http://<host>:80; } location /z/../ { deny all; proxy_pass ${APP}; }`,
  );
  expect(routesOf(text)).toEqual([PLAIN]);
  const said = notesOf(text).filter((note) => note.includes("of its route would be invalid"));
  expect(said).toEqual([
    expect.stringMatching(/location \/y \{\}: not imported: upstream.* expected a URL/),
    expect.stringMatching(/location \/z\/\.\.\/ \{\}: not imported: match\.path of its route/),
  ]);
});

describe("backends", () => {
  const group = (text: string, inside = "") =>
    server(`location /x/ { proxy_pass http://app; ${inside} }`, `upstream app { ${text} }`);
  const upstreamOf = (text: string) => routesOf(text)[0]?.upstream;

  test("of an upstream keep their parameters and the balancing method", () => {
    const text =
      "server a:1 weight=2; server b:2 backup max_fails=3 fail_timeout=1m; server c:3 down; server unix:/s;";
    const backends = [
      { url: "http://a:1", weight: 2 },
      { url: "http://b:2", backup: true, maxFails: 3, failTimeout: "1m" },
      { url: "unix:/s" },
    ];
    expect(upstreamOf(group(text))).toEqual({ backends, balance: "roundRobin" });
    expect(upstreamOf(group(`least_conn; ${text}`))).toEqual({ backends });
    expect(upstreamOf(group(`ip_hash; ${text}`))).toEqual({ backends, balance: "hash" });
    expect(upstreamOf(group(`random two; ${text}`))).toEqual({ backends, balance: "randomTwo" });
    expect(notesOf(group(text)).join("\n")).toContain("server c:3 down: omitted: the server is marked down");
  });

  test.each([
    ["$binary_remote_addr", "hash"],
    ["$http_x_user_id", { method: "hash", by: "header:x-user-id" }],
    ["${cookie_JSESSIONID}", { method: "hash", by: "cookie:JSESSIONID" }],
    ["$arg_room", { method: "hash", by: "query:room" }],
    ["$host", { method: "hash", by: "header:host" }],
  ])("of an upstream keep the key of hash: %s", (key, balance) => {
    const text = group(`hash ${key} consistent; server a:1; server b:1;`);
    expect(upstreamOf(text)).toMatchObject({ balance });
    expect(notesOf(text).join("\n")).not.toContain("hash");
  });

  test("of an upstream hash the client's address if the key has no counterpart, with a note", () => {
    const text = group("hash $uri$is_args; server a:1; server b:1;");
    expect(upstreamOf(text)).toMatchObject({ balance: "hash" });
    expect(notesOf(text).join("\n")).toContain(
      "the key has no counterpart; the route hashes the client's address",
    );
  });

  test.each<[string, unknown, string]>([
    ["sticky cookie srv_id", { cookie: "srv_id" }, ""],
    [
      "sticky cookie srv_id expires=1h path=/ httponly samesite=Strict secure",
      { cookie: { name: "srv_id", maxAge: "1h", sameSite: "strict" } },
      "",
    ],
    [
      "sticky cookie srv_id domain=.a.test path=/x expires=max samesite=$site",
      { cookie: "srv_id" },
      "domain=.a.test has no counterpart",
    ],
    [
      "sticky learn create=$upstream_http_mcp_session_id lookup=$http_mcp_session_id zone=s:1m timeout=1h",
      { learn: { field: "mcp-session-id", expires: "1h" } },
      "",
    ],
    [
      "sticky learn create=$upstream_http_x lookup=$http_x zone=s:1m sync",
      { learn: { field: "x", expires: "10m" } },
      "instances share sessions by Redis",
    ],
    [
      "sticky learn create=$upstream_cookie_id lookup=$cookie_id zone=s:1m",
      undefined,
      "has no counterpart; upstream.sticky: { cookie: NAME } sets a cookie of sluice",
    ],
    ["sticky route $route_cookie $route_uri", undefined, "has no counterpart; upstream.sticky"],
  ])("of an upstream keep %s", (directive, sticky, note) => {
    const text = group(`${directive}; server a:1; server b:1;`);
    expect(upstreamOf(text)).toMatchObject({
      balance: "roundRobin",
      ...(sticky !== undefined && { sticky }),
    });
    expect(upstreamOf(text)).not.toHaveProperty(sticky === undefined ? "sticky" : "none");
    const notes = notesOf(text).filter((line) => line.includes("sticky"));
    if (note === "") expect(notes).toEqual([]);
    else expect(notes.join("\n")).toContain(note);
    expect(upstreamOf(group(`${directive}; server a:1;`))).toEqual("http://a:1");
  });

  test("keep timeouts and retries from any level", () => {
    const text = `proxy_read_timeout 2h; ${group("server a:1;", "proxy_connect_timeout 500ms; proxy_next_upstream_tries 3;")}`;
    expect(upstreamOf(text)).toEqual({
      backends: [{ url: "http://a:1" }],
      retries: 2,
      connectTimeout: "500ms",
      responseHeaderTimeout: "2h",
    });
    expect(upstreamOf(group("server a:1;", "proxy_read_timeout 60; proxy_next_upstream off;"))).toEqual({
      backends: [{ url: "http://a:1" }],
      retries: 0,
    });
  });

  test("get the Host that nginx sends", () => {
    const of = (text: string) => routesOf(`server { location /x/ { proxy_pass ${APP}; ${text} } }`)[0];
    const own = { backends: [{ url: APP }], hostHeader: "backend" };
    expect(of("")?.upstream).toEqual(own);
    expect(of("proxy_set_header Host $proxy_host;")?.upstream).toEqual(own);
    expect(of("proxy_set_header Host $host;")?.upstream).toBe(APP);
    expect(of("proxy_set_header Host app.example;")).toMatchObject({
      headers: { request: { set: { Host: "app.example" } } },
    });
  });

  test("are verified only if nginx verifies them", () => {
    const of = (text: string) => upstreamOf(server(`location / { proxy_pass https://a.example; ${text} }`));
    expect(of("proxy_ssl_name b.example;")).toMatchObject({
      tls: { verify: false, serverName: "b.example" },
    });
    expect(of("proxy_ssl_verify on;")).toMatchObject({ tls: {} });
  });
});

describe("fields", () => {
  test("of the request are set if fixed, removed if empty, and left to sluice if it sets them itself", () => {
    const text = `${KEEPS_HOST} proxy_set_header X-A b; proxy_set_header Accept-Encoding ""; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header Connection ""; proxy_set_header Cookie $http_cookie;
      proxy_set_header X-B $request_uri; proxy_set_header Content-Length "";`;
    expect(routesOf(location(text))).toEqual([
      { ...PLAIN, headers: { request: { set: { "X-A": "b" }, remove: ["Accept-Encoding"] } } },
    ]);
    expect(notesOf(location(text)).slice(1)).toEqual([
      expect.stringContaining("X-B $request_uri: the value contains variables"),
      expect.stringContaining('Content-Length "": the field frames the message'),
    ]);
  });

  test("of the response are inherited as in nginx", () => {
    const text = server(
      `add_header X-Outer 1; location /x/ { proxy_pass ${APP}; } location /y/ { proxy_pass ${APP}; add_header X-Inner 2 always; proxy_hide_header X-Inner; proxy_hide_header Server; }`,
    );
    expect(routesOf(text).map(({ headers }) => headers?.response)).toEqual([
      { set: { "X-Outer": "1" } },
      { set: { "X-Inner": "2" }, remove: ["Server"] },
    ]);
  });

  test("of CORS become cors, those of the response to a preflight too", () => {
    const map = `map $http_origin $o { default ""; https://a.example $http_origin; "~^https://.*\\.b\\.example$" $http_origin; "~^https://[a-z0-9-]+\\.c\\.example:8443$" $http_origin; ~x 1; }`;
    const text = location(
      `add_header Access-Control-Allow-Origin $o always; add_header Access-Control-Allow-Credentials true;
       if ($request_method = 'OPTIONS') { add_header Access-Control-Allow-Methods "GET, POST, OPTIONS"; add_header Access-Control-Max-Age 600; return 204; }`,
      map,
    );
    expect(routesOf(text)).toEqual([
      {
        ...PLAIN,
        cors: {
          allowOrigins: ["https://a.example", "https://*.b.example", "https://*.c.example:8443"],
          allowMethods: ["GET", "POST"],
          allowCredentials: true,
          maxAge: "600s",
        },
      },
    ]);
    expect(notesOf(text).join("\n")).toContain("~x 1: neither an exact origin");
  });

  test("that allow every origin with credentials become cors without credentials", () => {
    const any = location(
      "add_header Access-Control-Allow-Origin *; add_header Access-Control-Allow-Credentials true;",
    );
    expect(routesOf(any)).toEqual([{ ...PLAIN, cors: { allowOrigins: ["*"] } }]);
    const echo = location("add_header Access-Control-Allow-Origin $http_origin;");
    expect(routesOf(echo)).toEqual([PLAIN]);
    expect(notesOf(echo).join("\n")).toContain("write cors.allowOrigins by hand");
  });
});

test("WebSockets, limits and fixed responses are imported", () => {
  expect(routesOf(location(`${KEEPS_HOST} proxy_set_header Upgrade $http_upgrade;`))).toEqual([
    { ...PLAIN, websocket: true },
  ]);
  const zones =
    "limit_req_zone $binary_remote_addr zone=r:1m rate=30r/m; limit_conn_zone $server_name zone=c:1m;";
  expect(routesOf(location("limit_req zone=r; limit_conn c 7;", zones))).toEqual([
    { ...PLAIN, limits: { rate: { requests: 30, per: "60s", by: "ip" }, streams: 7 } },
  ]);
  expect(routesOf(server('location = /ok { return 200 "ok"; } location = /no { return 403; }'))).toEqual([
    { match: { path: "/ok" }, mock: { headers: { "Content-Type": "text/plain" }, body: "ok" } },
    { match: { path: "/no" }, mock: { status: 403 } },
  ]);
  expect(routesOf(server("location / { return 301 /y; }"))).toEqual([]);
});

describe("a route does not admit more than its location", () => {
  const accessOf = (text: string) => routesOf(location(text))[0]?.access;
  const CLOSED = { allow: ["192.0.2.1"] };

  test.each([
    ["allow 10.0.0.0/8; deny all;", { allow: ["10.0.0.0/8"] }],
    ["deny 10.0.0.5; allow 10.0.0.0/8; deny all;", { allow: ["10.0.0.0/8"], deny: ["10.0.0.5"] }],
    ["deny 10.0.0.5;", { deny: ["10.0.0.5"] }],
    ["deny 10.0.0.5; allow all;", { deny: ["10.0.0.5"] }],
    ["allow all;", undefined],
    ["deny all;", CLOSED],
    ["allow 10.0.0.5; deny 10.0.0.0/8; allow all;", CLOSED],
    ["allow 10.0.0.5; deny 10.0.0.0/8; allow 11.0.0.1; deny all;", CLOSED],
    ["allow unix:; deny all;", CLOSED],
    ['auth_basic "staff"; auth_basic_user_file f;', CLOSED],
    ["auth_request /auth;", CLOSED],
    ["auth_basic off;", undefined],
    ["access_by_lua_block { ngx.exit(403) }", CLOSED],
    ["if ($http_x_key != a) { return 403; }", CLOSED],
    ["limit_except GET { allow 10.0.0.1; deny all; }", CLOSED],
    ["satisfy any; allow 10.0.0.1; deny all; auth_basic x;", CLOSED],
  ])("%s", (text, access) => {
    expect(accessOf(text)).toEqual(access);
  });

  test("also if the guard is in the server or in http", () => {
    expect(
      routesOf(
        server(
          `auth_basic x; location /x/ { proxy_pass ${APP}; } location /y/ { auth_basic off; proxy_pass ${APP}; }`,
        ),
      ).map(({ access }) => access),
    ).toEqual([CLOSED, undefined]);
    expect(routesOf(location("", "ssl_verify_client on;"))[0]?.access).toEqual(CLOSED);
    expect(
      routesOf(server(`if ($bad) { return 403; } location /x/ { proxy_pass ${APP}; }`))[0]?.access,
    ).toEqual(CLOSED);
  });

  test("a wider route does not get the requests of a guarded location", () => {
    const text = server(
      `location / { proxy_pass ${APP}; } location = /metrics { deny all; } location /in/ { internal; } location /gone { return 404; }
       location /php/ { auth_basic x; fastcgi_pass unix:/p; } location ~ /\\. { deny all; } location /files/ { root /var; }`,
    );
    const answers = routesOf(text).map(({ match, mock }) => [match.path, mock?.status]);
    expect(answers).toEqual([
      ["/*", undefined],
      ["/metrics", 403],
      ["/in/*", 404],
      ["/gone/*", 404],
      ["/php/*", 403],
    ]);
    // A note is in the file of the route that gets the requests, and in the output of the import.
    const { routes, left } = imported(text);
    const inRoot = routes[0]?.notes.map(({ text: said }) => said).join("\n");
    expect(inRoot).toContain("location ~ /\\. {} is not imported, so this route gets its requests");
    expect(inRoot).toContain("location /files/ {} is not imported");
    const said = left.map(formatNote).join("\n");
    expect(said).toMatch(/location ~ \/\\\. \{\}: not imported: .*; the route \/\* now gets its requests/);
  });
});

describe("the rewriting of redirects and cookies becomes rewrite", () => {
  const directiveNotesOf = (text: string) =>
    notesOf(text).filter((note) => / proxy_(?:redirect|cookie)/.test(note));

  test.each([
    ["", undefined],
    ["proxy_redirect default;", undefined],
    ["proxy_redirect off;", { redirects: "off" }],
    [`proxy_redirect ${APP}/ /;`, undefined],
    [`proxy_redirect ${APP} $scheme://$http_host;`, undefined],
    [`proxy_redirect ${APP}/ https://$host:$server_port/;`, undefined],
    ["proxy_cookie_domain off; proxy_cookie_path off;", undefined],
    ["proxy_cookie_domain a.internal app.example;", { cookies: { domain: { "a.internal": "app.example" } } }],
    ["proxy_cookie_domain ~.* app.example;", { cookies: { domain: "app.example" } }],
    [
      "proxy_cookie_path /two/ /; proxy_cookie_path / /one/;",
      { cookies: { path: { "/two/": "/", "/": "/one/" } } },
    ],
  ])("%s", (text, rewrite) => {
    expect(routesOf(location(text)).map((route) => route.rewrite)).toEqual([rewrite]);
    expect(directiveNotesOf(location(text))).toEqual([]);
  });

  test("beside a change of the path", () => {
    const path = `location /x/ { proxy_pass ${APP}/v1/; proxy_redirect ${APP}/v1/ /x/; proxy_cookie_path /v1/ /x/; }`;
    expect(routesOf(server(path))[0]?.rewrite).toEqual({
      stripPrefix: "/x",
      addPrefix: "/v1",
      cookies: { path: { "/v1/": "/x/" } },
    });
    expect(directiveNotesOf(server(path))).toEqual([]);
  });

  test.each([
    ["proxy_redirect http:// https://;", "a route rewrites redirects that name the backend, and no others"],
    ["proxy_redirect / /app/;", "a route rewrites redirects that name the backend, and no others"],
    ["proxy_redirect ~^(.*)$ $1;", "a route rewrites redirects that name the backend, and no others"],
    ["proxy_cookie_domain a.internal $host;", "the cookie belongs to that host alone"],
    ["proxy_cookie_domain ~(\\w+)$ $1;", "write rewrite.cookies.domain by hand"],
    ['proxy_cookie_path / "/; Secure";', "write rewrite.cookies.path by hand"],
    ["proxy_cookie_path ~^/(.*) /$1;", "write rewrite.cookies.path by hand"],
  ])("%s gets a note", (text, note) => {
    expect(directiveNotesOf(location(text))).toEqual([expect.stringContaining(note)]);
    expect(routesOf(location(text))).toHaveLength(1);
  });
});

test.each([
  "proxy_cache z;",
  "proxy_buffering on;",
  "sub_filter a b;",
  "mirror /m;",
  "expires 1d;",
  "chunked_transfer_encoding off;",
  "body_filter_by_lua_block { x() }",
  "proxy_ignore_headers X-Accel-Buffering;",
  "client_max_body_size 1m;",
  "if ($arg_a) { set $b 1; }",
  "some_module_of_others on;",
])("a setting without a counterpart gets a note: %s", (text) => {
  const [name = ""] = text.split(/[ ;]/);
  expect(notesOf(location(text)).filter((note) => note.includes(` ${name} `))).toHaveLength(1);
});

test("directives that sluice's behaviour covers get no note", () => {
  const text =
    "proxy_buffering off; proxy_request_buffering off; proxy_http_version 1.1; proxy_cache off; gzip off; client_max_body_size 0; proxy_redirect off;";
  expect(notesOf(`server { ${KEEPS_HOST} location = /x { proxy_pass ${APP}; ${text} } }`)).toEqual([]);
});

test("--server imports only the named server", () => {
  const text = ["a", "b"]
    .map((name) => `server { server_name ${name}.example; location / { proxy_pass ${APP}; } }`)
    .join(" ");
  expect(imported(text, "b.example").routes.map(({ route }) => route.match.host)).toEqual(["b.example"]);
});

test("a server that would make more than the maximum of routes is not imported", () => {
  const names = Array.from({ length: 101 }, (_, at) => `h${at}.example`).join(" ");
  const locations = Array.from({ length: 100 }, (_, at) => `location = /${at} { return 200 a; }`).join(" ");
  const { routes, left } = imported(
    `server { server_name ${names}; ${locations} } ${server("location = /x { return 200 a; }")}`,
  );
  expect(routes.map(({ route }) => route.match.path)).toEqual(["/x"]);
  expect(left.map(formatNote).join("\n")).toContain("not imported: this makes more than 10000 routes");
});

describe("the import of a generated configuration returns the original routes", () => {
  const routes = {
    exact: { match: { path: "/exact" }, upstream: APP },
    chat: { match: { path: "/chat/*" }, upstream: APP },
    odd: { match: { path: "/a%20b;c/*" }, upstream: APP },
    own: { match: { path: "/own/*", host: "app.example.com" }, upstream: APP },
  };

  test.each([
    [false, [], undefined],
    [true, [], undefined],
    [false, ["10.0.0.0/8"], { cert: "/c.pem", key: "/k.pem" }],
  ])("websocket %s, behind %j", (websocket, behind, tls) => {
    const cors = { allowOrigins: ["https://a.example"] };
    const all = Object.fromEntries(
      Object.entries(routes).map(([name, route]) => [name, { ...route, websocket, cors }]),
    );
    const text = generateSite(inlineConfig({ routes: all }), {
      listen: "80",
      tls,
      http2: tls !== undefined,
      servers: ["10.0.0.9:8000"],
      behind,
      mode: "routes",
      version: ASSUMED_VERSION,
    });
    const back = routesOf(text).map(({ match: { host, path }, upstream, websocket: taken = false }) => {
      return { host, path, upstream, taken };
    });
    // The timeout still includes the margin of 15 s.
    const backends = [{ url: "http://10.0.0.9:8000", maxFails: 0 }];
    const upstream = { backends, responseHeaderTimeout: "75s" };
    const route = (path: string, host?: string) => ({ host, path, upstream, taken: websocket });
    const open = [route("/a%20b;c/*"), route("/chat/*"), route("/exact")];
    const named = [
      ...open.map(({ path }) => route(path, "app.example.com")),
      route("/own/*", "app.example.com"),
    ];
    const order = (a: { path: string; host: string | string[] | undefined }, b: typeof a) =>
      `${a.host ?? ""} ${a.path}` < `${b.host ?? ""} ${b.path}` ? -1 : 1;
    expect(back.toSorted(order)).toEqual([...open, ...named].toSorted(order));
  });
});
