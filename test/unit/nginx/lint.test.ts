import { expect, test } from "vitest";
import { DumpFiles } from "../../../src/nginx/dump.ts";
import { formatText } from "../../../src/nginx/lint/format-text.ts";
import type { LintOptions } from "../../../src/nginx/lint/options.ts";
import { assumedVersion, lint } from "../../../src/nginx/lint/result.ts";
import { readConfiguration } from "../../../src/nginx/reader.ts";
import { ASSUMED_VERSION, formatVersion, parseVersion } from "../../../src/nginx/version.ts";

const OPTIONS: LintOptions = {
  version: ASSUMED_VERSION,
  sluice: { listeners: [], routes: undefined, trustedProxies: undefined },
  streams: [],
  heartbeatMs: undefined,
  only: undefined,
  off: new Set(),
};

const read = (text: string) => readConfiguration("/n.conf", new DumpFiles(new Map([["/n.conf", text]])));
const findings = (text: string, options: Partial<LintOptions> = {}) =>
  lint(read(text), { ...OPTIONS, ...options }).findings;
const ids = (text: string, options: Partial<LintOptions> = {}) =>
  findings(text, options).map(({ severity, rule }) => `${severity} ${rule}`);
const only = (...rules: string[]) => ({ only: new Set(rules) });

const PASS = "proxy_pass http://127.0.0.1:9000;";

test("a value that many locations inherit is one finding that lists all of them", () => {
  const text = `server { chunked_transfer_encoding off; location /events { ${PASS} } location /sse { ${PASS} } location /x { ${PASS} } }`;
  const [finding, ...others] = findings(text, only("chunked-off"));
  expect(others).toEqual([]);
  expect(finding).toMatchObject({
    severity: "error",
    locations: ["/events", "/sse", "/x"],
    isPossible: false,
  });
});

test("a value that an unreadable include may set is not reported", () => {
  const site = (include: string) => `server { ${include} location /events { ${PASS} } }`;
  expect(ids(site(""))).toContain("error response-buffered");
  expect(ids(site("include snippets/sse.conf;"))).toEqual(["info include-not-found"]);
});

test("a default value depends on the version of nginx", () => {
  const site = `server { location /events { ${PASS} } }`;
  expect(ids(site, only("http10-upstream"))).toEqual(["warning http10-upstream"]);
  const version = parseVersion("1.30") ?? ASSUMED_VERSION;
  expect(ids(site, { ...only("http10-upstream"), version })).toEqual([]);
});

test("a buffered HTTP/1.1 response is an error over TLS and a warning over plain HTTP", () => {
  const site = (listen: string) =>
    findings(
      `server { listen ${listen}; location /events { ${PASS} proxy_http_version 1.1; } }`,
      only("response-buffered"),
    );
  expect(site("443 ssl")[0]).toMatchObject({ severity: "error", message: expect.stringContaining("16 kB") });
  expect(site("80")[0]).toMatchObject({
    severity: "warning",
    message: expect.stringContaining("the head waits"),
  });
});

test("FastCGI with keep-alive and HTTP/2 to the backend are prompt although buffering is on", () => {
  const version = parseVersion("1.30") ?? ASSUMED_VERSION;
  const fastcgi = "server { listen 80; location /events { fastcgi_pass a:1; fastcgi_keep_conn on; } }";
  expect(ids(fastcgi, only("response-buffered"))).toEqual([]);
  const http2 = `server { listen 80; location /events { ${PASS} proxy_http_version 2; } }`;
  expect(ids(http2, { ...only("response-buffered"), version })).toEqual([]);
});

test("--heartbeat sets the interval in which the backends send bytes", () => {
  const site = `server { location /events { ${PASS} } }`;
  expect(ids(site, only("read-timeout-cuts-silence"))).toEqual(["warning read-timeout-cuts-silence"]);
  expect(ids(site, { ...only("read-timeout-cuts-silence"), heartbeatMs: 15_000 })).toEqual([]);
  expect(ids(site, { ...only("read-timeout-cuts-silence"), heartbeatMs: 90_000 })).toHaveLength(1);
});

test("lines that an outer level overrides already are not reported for the location", () => {
  const text = `events {} http { proxy_set_header Host $host; server { proxy_set_header X-A a; location /events { ${PASS} proxy_set_header X-A b; } } }`;
  expect(ids(text, only("request-fields-lost"))).toEqual([]);
});

test("ifs on the same variable exclude one another, as in CORS recipes", () => {
  const field = "add_header Access-Control-Allow-Origin * always;";
  const text = `server { location /events { ${PASS}
    if ($request_method = OPTIONS) { ${field} add_header Access-Control-Max-Age 600; return 204; }
    if ($request_method = POST) { ${field} }
    if ($request_method = GET) { ${field} } } }`;
  expect(ids(text, only("fields-lost-in-if", "preflight-loses-fields"))).toEqual([]);
});

test("a path after `rewrite … break`, and the client's own path, are not reported as rewritten", () => {
  const inside = (lines: string) =>
    ids(`server { location /api/ { ${lines} } }`, only("slash-missing", "decoded-path-in-proxy-pass"));
  expect(inside("rewrite ^/api/(.*)$ /$1 break; proxy_pass http://a/v1;")).toEqual([]);
  expect(inside("rewrite ^ $request_uri; rewrite ^/api/(.*) $1 break; proxy_pass http://a/$uri;")).toEqual(
    [],
  );
  expect(inside("proxy_pass http://a/v1;")).toEqual(["error slash-missing"]);
});

test("placeholders of envsubst do not count as variables of nginx", () => {
  const text =
    "server { listen ${PORT}; location /events { proxy_pass http://${BACKEND}/v1; proxy_buffers ${N} 4k; } }";
  const rules = only(
    "syntax",
    "query-lost",
    "decoded-path-in-proxy-pass",
    "no-resolver",
    "buffer-sizes",
    "slash-missing",
  );
  expect(ids(text, rules)).toEqual([]);
});

test("without an nginx on the PATH the assumed version supports every directive of the configuration", () => {
  const version = assumedVersion([read("events {} http { server { http2 on; } }")], ASSUMED_VERSION);
  expect(formatVersion(version)).toBe("1.25.1");
  expect(formatVersion(assumedVersion([read("events {}")], ASSUMED_VERSION))).toBe("1.22.1");
});

test("misspelt directives of nginx are reported, third-party directives are not", () => {
  const text =
    "server { more_set_headers a; brotli on; content_by_lua_block { } js_content a; proxy_bufering off; frobnicate on; }";
  expect(ids(text, only("unknown-directive"))).toEqual([
    "warning unknown-directive",
    "info unknown-directive",
  ]);
});

test("a configuration cannot control the terminal", () => {
  const text = `server { location "/events\u001b[2J" { ${PASS} } }`;
  const out = formatText(findings(text, only("response-buffered")), true);
  expect(out).toContain("/events\\x1b[2J");
  expect(out).not.toContain("\u001b[2J");
});

test("sluice believes the client's own X-Forwarded-For unless nginx sets another value", () => {
  const listener = { address: "127.0.0.1:9000", isWildcard: false, hasProxyProtocol: false, hasTls: false };
  const found = (location: string, server = "") => {
    const text = `server { ${server} location /events { ${PASS} ${location} } }`;
    const sluice = { ...OPTIONS.sluice, listeners: [listener], trustedProxies: ["127.0.0.1"] };
    return ids(text, { ...only("client-address-forgeable"), sluice });
  };
  const set = (value: string) => `proxy_set_header X-Forwarded-For ${value};`;
  const forgeable = ["error client-address-forgeable"];
  expect(found("")).toEqual(forgeable);
  expect(found(set("$http_x_forwarded_for"))).toEqual(forgeable);
  expect(found(set('"${http_x_forwarded_for}, $remote_addr"'))).toEqual(forgeable);
  expect(found(set("$proxy_add_x_forwarded_for"))).toEqual(forgeable);
  expect(found(set("$remote_addr"))).toEqual([]);
  expect(found(set("$http_x_forwarded_for"), "set_real_ip_from 10.0.0.0/8;")).toEqual([]);
});
