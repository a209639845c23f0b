import { describe, expect, test } from "vitest";
import { levelsOf } from "../../../src/nginx/configuration.ts";
import { effective } from "../../../src/nginx/effective.ts";
import { generateSite, type SiteOptions } from "../../../src/nginx/generate/site.ts";
import { ASSUMED_VERSION } from "../../../src/nginx/version.ts";
import { inlineConfig } from "../../support/gateway.ts";
import { configurationOf } from "./configurations.ts";

const OPTIONS: SiteOptions = {
  listen: "80",
  tls: undefined,
  http2: false,
  servers: ["127.0.0.1:8000"],
  behind: [],
  mode: "all",
  version: ASSUMED_VERSION,
};

type Route = Readonly<Record<string, unknown>>;

const textOf = (
  routes: Readonly<Record<string, Route>>,
  options: Partial<SiteOptions> = {},
  server: Route = {},
) => {
  const full = Object.entries(routes).map(([name, route]) => {
    return [name, { match: { path: "/*" }, upstream: "http://127.0.0.1:9000", ...route }] as const;
  });
  return generateSite(inlineConfig({ routes: Object.fromEntries(full), server }), { ...OPTIONS, ...options });
};
const read = (text: string) => configurationOf({ "site.conf": text });
const directives = (text: string) => text.split("\n").filter((line) => !/^\s*#/.test(line));

const timeoutOf = (route: Route): string => {
  const [location] = levelsOf(read(textOf({ a: route })), "location");
  if (location === undefined) throw new Error("no location");
  return effective(location, "proxy_read_timeout", ASSUMED_VERSION).value;
};

describe("proxy_read_timeout is longer than sluice's own silence", () => {
  test.each([
    ["by default, the response header timeout", {}, "75s"],
    ["a long response header timeout", { upstream: to(1, { responseHeaderTimeout: "5m" }) }, "315s"],
    [
      "backends that refuse connections slowly",
      { upstream: to(3, { retries: 2, connectTimeout: "20s" }) },
      "115s",
    ],
    ["a slow heartbeat", { stream: { heartbeat: "2m" } }, "135s"],
    ["no heartbeat, but an idle timeout", { stream: { heartbeat: "off", idleTimeout: "10m" } }, "615s"],
    ["a heartbeat that is an event", { stream: { heartbeat: { every: "2m", event: "ping" } } }, "135s"],
    ["no comment lines, so no heartbeat", { stream: { comments: "off" } }, "3615s"],
    ["neither a heartbeat nor an idle timeout", { stream: { heartbeat: "off" } }, "3615s"],
    [
      "a WebSocket",
      { websocket: true, upstream: to(1, { responseHeaderTimeout: "1s" }), stream: { heartbeat: "1s" } },
      "75s",
    ],
    [
      "the backend of an environment",
      { stages: { beta: { upstream: to(1, { responseHeaderTimeout: "2m" }) } } },
      "135s",
    ],
  ])("%s", (_, route, expected) => {
    expect(timeoutOf(route)).toBe(expected);
  });

  function to(count: number, more: Route) {
    const backends = Array.from({ length: count }, (_, at) => ({ url: `http://127.0.0.1:${9000 + at}` }));
    return { backends, ...more };
  }
});

test("each host has its own server, other hosts get the first, and only the first has comments", () => {
  const text = textOf(
    {
      any: { match: { path: "/any" } },
      a: { match: { path: "/a", host: "a.example.com" } },
      b: { match: { path: "/b", host: "B.example.com." } },
      below: { match: { path: "/below", host: ["*.example.com", "c.example.org"] } },
    },
    { mode: "routes" },
  );
  const servers = levelsOf(read(text), "server");
  expect(servers.map((server) => server.last("server_name")?.value)).toEqual([
    "_",
    "*.example.com",
    "a.example.com",
    "b.example.com",
    "c.example.org",
  ]);
  const patterns = servers.map((server) =>
    server.levels.map(({ pattern }) => pattern).filter((p) => !p.startsWith("@")),
  );
  // A route without host applies to every host, and a wildcard to each host below it.
  expect(patterns.map((each) => each.toSorted())).toEqual([
    ["/", "= /any"],
    ["/", "= /any", "= /below"],
    ["/", "= /a", "= /any", "= /below"],
    ["/", "= /any", "= /b", "= /below"],
    ["/", "= /any", "= /below"],
  ]);
  const [first = "", ...rest] = text.split(/^server \{$/m).slice(1);
  expect(first).toContain("# sluice itself switches buffering off");
  for (const each of rest) expect(each).not.toContain("# sluice itself switches buffering off");
});

test("the paths of routes become exact and ^~ locations without duplicates", () => {
  const routes = {
    exact: { match: { path: "/x" } },
    below: { match: { path: "/x/*" } },
    post: { match: { path: "/x", methods: ["POST"] } },
  };
  const patterns = levelsOf(read(textOf(routes, { mode: "routes" }, { probe: true })), "location").map(
    (level) => level.pattern,
  );
  expect(patterns).toEqual(["= /x", "^~ /x/", "= /.sluice/probe", "/", "@sluice_502", "@sluice_504"]);
  const all = levelsOf(read(textOf({ all: {} }, { mode: "routes" })), "location").map(
    (level) => level.pattern,
  );
  expect(all).toEqual(["^~ /", "@sluice_502", "@sluice_504"]);
  expect(() => textOf({ raw: { match: { path: "/%FF" } } }, { mode: "routes" })).toThrow(
    /raw is not valid UTF-8.*--mode all/,
  );
});

describe("upgrades", () => {
  test("are forwarded if a route accepts WebSockets", () => {
    const text = textOf({ a: { websocket: true } });
    expect(text).toContain("map $http_upgrade $sluice_connection");
    expect(text).toContain("proxy_set_header Connection $sluice_connection;");
  });

  test("are not forwarded if no route does", () => {
    const text = textOf({ a: {} });
    expect(text).not.toContain("pgrade");
    expect(text).toContain('proxy_set_header Connection "";');
  });
});

describe("nginx's own errors", () => {
  const fieldsOf = (...cors: unknown[]) => {
    const routes = cors.map((each, at) => [`r${at}`, { match: { path: `/${at}` }, cors: each }] as const);
    return directives(textOf(Object.fromEntries(routes))).map((line) => line.trim());
  };

  test("have no CORS fields without cors", () => {
    expect(fieldsOf(false).filter((line) => /Access-Control|Vary/.test(line))).toEqual([]);
  });

  test("are readable by every origin if a route is", () => {
    const lines = fieldsOf(true);
    expect(lines).toContain("add_header Access-Control-Allow-Origin * always;");
    expect(lines).not.toContain("add_header Vary Origin always;");
  });

  test("allow the origins that may use a route, with credentials if the route allows them", () => {
    const lines = fieldsOf(
      { allowOrigins: ["*"] },
      { allowOrigins: ["https://a.example", "https://*.b.example"], allowCredentials: true },
    );
    expect(lines).toContain("default *;");
    expect(lines.filter((line) => line.startsWith('"')).toSorted()).toEqual([
      '"https://a.example" $http_origin;',
      '"https://a.example" true;',
      '"~^https://[a-z0-9_-]+(?:\\.[a-z0-9_-]+)*\\.b\\.example$" $http_origin;',
      '"~^https://[a-z0-9_-]+(?:\\.[a-z0-9_-]+)*\\.b\\.example$" true;',
    ]);
    expect(lines).toContain("add_header Vary Origin always;");
  });
});

test("HTTP/2 is switched on with the directive of the nginx version", () => {
  const tls = { cert: "/c.pem", key: "/a b/k.pem" };
  const of = (version: SiteOptions["version"]) =>
    directives(textOf({ a: {} }, { tls, http2: true, listen: "443", version }));
  expect(of([1, 25, 0])).toContain("    listen 443 ssl http2;");
  expect(of([1, 25, 1])).toContain("    http2 on;");
  expect(of([1, 25, 1])).toContain('    ssl_certificate_key "/a b/k.pem";');
});

describe("the servers", () => {
  const serversOf = (listen: unknown, servers: readonly string[] = []) =>
    directives(textOf({ a: {} }, { servers }, { listen })).filter((line) =>
      /^ {4}server |proxy_pass/.test(line),
    );

  test("are sluice's listeners, those without TLS if there are any", () => {
    expect(
      serversOf(["8000", "[::1]:8001", "unix:/run/s.sock", { address: 8002, proxyProtocol: true }]),
    ).toEqual([
      "    server 127.0.0.1:8000 max_fails=0;",
      "    server [::1]:8001 max_fails=0;",
      "    server unix:/run/s.sock max_fails=0;",
      "        proxy_pass http://sluice_servers;",
    ]);
  });

  test("cannot be listeners that expect a PROXY protocol header", () => {
    const listen = { address: 8002, proxyProtocol: true };
    expect(() => serversOf(listen, ["10.0.0.1:8002"])).toThrow(
      /10\.0\.0\.1:8002 is a listener with proxyProtocol/,
    );
  });
});
