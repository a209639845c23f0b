import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findConflicts } from "../../../src/config/conflicts.ts";
import type { RouteMatch } from "../../../src/config/match-schema.ts";
import { hostName } from "../../../src/http/request-head.ts";
import { routingPath } from "../../../src/http/routing-path.ts";
import type { ConditionSource } from "../../../src/routing/conditions.ts";
import { createRouter, inMatchingOrder, type RoutingFacts } from "../../../src/routing/router.ts";

const entry = (match: RouteMatch) => {
  const conditions = Object.entries({ ...match.header, ...match.query }).map((pair) => pair.join("="));
  const name = [
    ...(match.methods ?? ["any"]),
    `${match.host?.join() ?? ""}${match.path}`,
    ...conditions,
  ].join(" ");
  return { name, match, value: name };
};
/** A request with these header lines and this query. */
const source = (rawHeaders: readonly string[] = [], query = ""): ConditionSource => ({
  request: { rawHeaders },
  target: { query },
});
const route = (
  matches: readonly RouteMatch[],
  path: string,
  method = "GET",
  host = "any.example",
  parts = source(),
) => createRouter(matches.map(entry)).match({ host, path: routingPath(path), method }, parts);

describe("paths", () => {
  test.each([
    ["/chat/*", "/chat", true],
    ["/chat/*", "/chat/", true],
    ["/chat/*", "/chat/x/y", true],
    ["/chat/*", "/chat//x", true],
    ["/chat/*", "/chatter", false],
    ["/chat/*", "/chat%2fx", false],
    ["/chat/*", "/Chat/x", false],
    ["/chat/*", "/", false],
    ["/*", "/", true],
    ["/*", "/anything/at/all", true],
    ["/stream", "/stream", true],
    ["/stream", "/stream/", false],
    ["/stream", "/%73tream", true],
    ["/%73tream", "/stream", true],
    ["/a%2fb", "/a%2Fb", true],
    ["/a%2fb", "/a/b", false],
    ["/a%252fb", "/a%2fb", false],
    ["/a%2A", "/a*", true],
    ["/", "/x", false],
  ])("%s takes %s: %j", (pattern, path, isTaken) => {
    expect(route([{ path: pattern }], path) !== undefined).toBe(isTaken);
  });
});

describe("precedence", () => {
  const all: RouteMatch[] = [
    { path: "/*" },
    { path: "/a/*" },
    { path: "/a/b/*" },
    { path: "/a/b" },
    { path: "/*", host: ["h.example"] },
    { path: "/a/b", methods: ["GET"] },
  ];

  test.each([
    ["/a/b", "GET", "any.example", "GET /a/b"],
    ["/a/b", "HEAD", "any.example", "GET /a/b"],
    ["/a/b", "POST", "any.example", "any /a/b"],
    ["/a/b/c", "GET", "any.example", "any /a/b/*"],
    ["/a/bc", "GET", "any.example", "any /a/*"],
    ["/x", "GET", "any.example", "any /*"],
    // A prefix with the host comes before an exact path without a host.
    ["/a/b", "GET", "h.example", "any h.example/*"],
  ])("%s %s at %s goes to %s", (path, method, host, name) => {
    expect(route(all, path, method, host)).toEqual({ route: name });
  });

  test("a request that no route of its host matches goes to the routes without host", () => {
    const matches = [{ path: "/only", host: ["h.example"] }, { path: "/*" }];
    expect(route(matches, "/other", "GET", "h.example")).toEqual({ route: "any /*" });
  });

  test("the printed table has the same order", () => {
    const order = inMatchingOrder(all.map(entry)).map(({ name }) => name);
    expect(order).toEqual(["any h.example/*", "GET /a/b", "any /a/b", "any /a/b/*", "any /a/*", "any /*"]);
  });
});

test.each([
  ["H.example", "h.example"],
  ["h.example:8080", "h.example"],
  ["h.example.:8080", "h.example"],
  ["[::1]:8080", "[::1]"],
  ["", ""],
])("the Host %j is compared as %j", (field, host) => {
  expect(hostName(field)).toBe(host);
});

describe("hosts", () => {
  const matches: RouteMatch[] = [
    { path: "/*", host: ["example.com", "www.example.com"] },
    { path: "/*", host: ["*.example.com"] },
    { path: "/*", host: ["*.a.example.com"] },
    { path: "/only", host: ["b.a.example.com"] },
    { path: "/*" },
  ];

  test.each([
    ["example.com", "/x", "any example.com,www.example.com/*"],
    ["www.example.com", "/x", "any example.com,www.example.com/*"],
    ["x.example.com", "/x", "any *.example.com/*"],
    ["y.x.example.com", "/x", "any *.example.com/*"],
    ["a.example.com", "/x", "any *.example.com/*"],
    ["x.a.example.com", "/x", "any *.a.example.com/*"],
    ["b.a.example.com", "/only", "any b.a.example.com/only"],
    // A path that the routes of a host do not match goes to the wildcard above it.
    ["b.a.example.com", "/x", "any *.a.example.com/*"],
    ["badexample.com", "/x", "any /*"],
    [".example.com", "/x", "any /*"],
    ["com", "/x", "any /*"],
    ["[::1]", "/x", "any /*"],
    ["", "/x", "any /*"],
  ])("%j with %s goes to %s", (host, path, name) => {
    expect(route(matches, path, "GET", host)).toEqual({ route: name });
  });

  test("the printed table has the same order", () => {
    expect(inMatchingOrder(matches.map(entry).toReversed()).map(({ name }) => name)).toEqual([
      "any b.a.example.com/only",
      "any example.com,www.example.com/*",
      "any *.a.example.com/*",
      "any *.example.com/*",
      "any /*",
    ]);
  });

  test("a host of 8,000 dots costs no more than the longest wildcard", () => {
    const router = createRouter(matches.map(entry));
    const host = `${"a.".repeat(8000)}com`;
    const startedAt = performance.now();
    for (let count = 0; count < 1000; count += 1) router.match({ host, path: "/", method: "GET" }, source());
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});

describe("conditions", () => {
  const matches: RouteMatch[] = [
    { path: "/api/*", header: { "X-Api-Version": "2" } },
    { path: "/api/*", header: { "X-Api-Version": "2", "X-Beta": "1" } },
    { path: "/api/*", query: { v: "3" }, methods: ["GET"] },
    { path: "/api/only/*", header: { "X-Api-Version": "2" } },
    { path: "/api/*", methods: ["GET"] },
    { path: "/*" },
  ];
  const asked = (rawHeaders: readonly string[], query = "", path = "/api/x", method = "GET") =>
    route(matches, path, method, "h", source(rawHeaders, query));

  test.each<[string, Parameters<typeof asked>, string]>([
    ["a field, in any case", [["x-api-VERSION", "2"]], "any /api/* X-Api-Version=2"],
    ["more conditions first", [["X-Api-Version", "2", "X-Beta", "1"]], "any /api/* X-Api-Version=2 X-Beta=1"],
    ["another value", [["X-Api-Version", "1"]], "GET /api/*"],
    ["a value in a list is another value", [["X-Api-Version", "2, 3"]], "GET /api/*"],
    ["a parameter", [[], "?a=1&v=3"], "GET /api/* v=3"],
    ["a parameter, encoded", [[], "?%76=%33"], "GET /api/* v=3"],
    ["another parameter", [[], "?v=33&version=3"], "GET /api/*"],
    [
      "a route whose conditions are not met leaves its path to a shorter one",
      [[], "", "/api/only/x"],
      "GET /api/*",
    ],
    ["a longer path first", [["X-Api-Version", "2"], "", "/api/only/x"], "any /api/only/* X-Api-Version=2"],
    [
      "for another method, the route without conditions",
      [["X-Api-Version", "2"], "?v=3", "/api/x", "PUT"],
      "any /api/* X-Api-Version=2",
    ],
  ])("%s", (_, request, name) => {
    expect(asked(...request)).toEqual({ route: name });
  });

  test("the methods of a 405 are those of the routes whose conditions are met", () => {
    expect(asked([], "?v=3", "/api/x", "PUT")).toEqual({ allow: ["GET", "HEAD"] });
    const only = [{ path: "/a", header: { "X-V": "2" }, methods: ["POST"] }];
    expect(route(only, "/a", "GET", "h", source(["X-V", "2"]))).toEqual({ allow: ["POST"] });
    expect(route(only, "/a", "POST", "h", source(["X-V", "1"]))).toBeUndefined();
  });

  test("a preflight meets the conditions on the fields that it announces", () => {
    const preflight = (announced: string[], query = "") =>
      route(matches, "/api/x", "GET", "h", { ...source([], query), announced: new Set(announced) });
    expect(preflight(["x-api-version"])).toEqual({ route: "any /api/* X-Api-Version=2" });
    expect(preflight(["content-type"])).toEqual({ route: "GET /api/*" });
    expect(preflight(["content-type"], "?v=3")).toEqual({ route: "GET /api/* v=3" });
  });

  test("the printed table has the same order", () => {
    expect(inMatchingOrder(matches.map(entry)).map(({ name }) => name)).toEqual([
      "any /api/only/* X-Api-Version=2",
      "any /api/* X-Api-Version=2 X-Beta=1",
      "GET /api/* v=3",
      "any /api/* X-Api-Version=2",
      "GET /api/*",
      "any /*",
    ]);
  });
});

describe("methods", () => {
  const matches: RouteMatch[] = [
    { path: "/a/*", methods: ["GET"] },
    { path: "/a/*", methods: ["POST", "OPTIONS"] },
    { path: "/*" },
  ];

  test("the path decides first: another method is refused, even if a shorter prefix allows it", () => {
    expect(route(matches, "/a/x", "DELETE")).toEqual({ allow: ["GET", "HEAD", "POST", "OPTIONS"] });
  });

  test("OPTIONS is allowed only where it is configured", () => {
    expect(route([{ path: "/a", methods: ["GET"] }], "/a", "OPTIONS")).toEqual({ allow: ["GET", "HEAD"] });
  });

  test("methods are case-sensitive", () => {
    expect(route(matches, "/a/x", "get")).toHaveProperty("allow");
  });

  test("no route: undefined", () => {
    expect(route([{ path: "/a" }], "/b")).toBeUndefined();
  });
});

test("a path of 16,000 slashes costs no more than the longest prefix", () => {
  const router = createRouter([entry({ path: "/a/b/c/*" }), entry({ path: "/x" })]);
  const path = "/".repeat(16_000);
  const startedAt = performance.now();
  for (let count = 0; count < 1000; count += 1) router.match({ host: "h", path, method: "GET" }, source());
  // Cutting the path at each slash took 60 ms for one request.
  expect(performance.now() - startedAt).toBeLessThan(5000);
});

describe("compared with a simple implementation of the rules", () => {
  const segment = fc.constantFrom("a", "b", "a%2fb", "%61", "");
  const segments = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
  const match: fc.Arbitrary<RouteMatch> = fc.record(
    {
      path: fc.oneof(
        segments,
        segments.map((path) => `${path.replace(/\/$/, "")}/*`),
      ),
      host: fc.uniqueArray(
        fc.constantFrom("h.example", "i.example", "*.example", "*.h.example", "a.h.example"),
        { minLength: 1, maxLength: 3 },
      ),
      header: fc.dictionary(fc.constantFrom("x-v", "X-W"), fc.constantFrom("1", "2"), { maxKeys: 2 }),
      query: fc.dictionary(fc.constantFrom("v"), fc.constantFrom("1", "2"), { maxKeys: 1 }),
      methods: fc.uniqueArray(fc.constantFrom("GET", "HEAD", "POST", "OPTIONS"), { minLength: 1 }),
    },
    { requiredKeys: ["path"] },
  );
  const fields = fc.dictionary(fc.constantFrom("X-V", "x-w"), fc.constantFrom("1", "2", "3"));
  const parameters = fc.dictionary(fc.constantFrom("v", "other"), fc.constantFrom("1", "2", "3"));
  type Request = RoutingFacts & {
    readonly fields: Record<string, string>;
    parameters: Record<string, string>;
  };
  const facts: fc.Arbitrary<Request> = fc.record({
    fields,
    parameters,
    host: fc.constantFrom("h.example", "other.example", "a.h.example", "b.a.h.example", "example", "net"),
    path: segments.map(routingPath),
    method: fc.constantFrom("GET", "HEAD", "POST", "DELETE", "OPTIONS"),
  });

  const takesPath = ({ path }: RouteMatch, asked: string): boolean => {
    const own = routingPath(path);
    if (!path.endsWith("/*")) return own === asked;
    return asked === own.slice(0, -2) || asked.startsWith(own.slice(0, -1));
  };
  const takesMethod = ({ methods }: RouteMatch, method: string): boolean =>
    methods === undefined || methods.includes(method) || (method === "HEAD" && methods.includes("GET"));

  /** The hosts of a route that take a host: itself, or wildcards above it. */
  const takenHosts = ({ host: hosts }: RouteMatch, asked: string): string[] =>
    (hosts ?? ["*"]).filter(
      (host) => host === "*" || host === asked || (host.startsWith("*.") && asked.endsWith(host.slice(1))),
    );
  const countConditions = ({ header = {}, query = {} }: RouteMatch) =>
    Object.keys(header).length + Object.keys(query).length;
  const meetsConditions = ({ header = {}, query = {} }: RouteMatch, asked: Request): boolean =>
    Object.entries(header).every(([name, value]) =>
      Object.entries(asked.fields).some(
        ([other, given]) => other.toLowerCase() === name.toLowerCase() && given === value,
      ),
    ) && Object.entries(query).every(([name, value]) => asked.parameters[name] === value);

  /** Sorts every route that fits, by nginx's rules in their order, and takes the first. */
  function oracle(matches: readonly RouteMatch[], request: Request) {
    const { host, path, method } = request;
    // The best host of a route: exact, then the longest wildcard, then any.
    const hostRank = (match: RouteMatch) =>
      Math.min(
        ...takenHosts(match, host).map((own) => (own === "*" ? 0 : own === host ? -1000 : -own.length)),
      );
    const rank = (match: RouteMatch): number[] => [
      hostRank(match),
      match.path.endsWith("/*") ? 1 : 0,
      -routingPath(match.path).length,
    ];
    const fitting = matches
      .filter(
        (match) =>
          takenHosts(match, host).length > 0 && takesPath(match, path) && meetsConditions(match, request),
      )
      .toSorted(
        (a, b) =>
          rank(a)
            .map((value, at) => value - (rank(b)[at] ?? 0))
            .find((value) => value !== 0) ?? 0,
      );
    const [first] = fitting;
    if (first === undefined) return undefined;
    const peers = fitting.filter((match) => rank(match).join() === rank(first).join());
    const taking = peers
      .filter((match) => takesMethod(match, method))
      .toSorted((a, b) => countConditions(b) - countConditions(a))
      .filter((match, _, [best]) => best !== undefined && countConditions(match) === countConditions(best));
    const found = taking.find(({ methods }) => methods !== undefined) ?? taking[0];
    if (found !== undefined) return { route: found };
    return {
      allow: new Set(
        peers.flatMap(({ methods = [] }) => (methods.includes("GET") ? [...methods, "HEAD"] : methods)),
      ),
    };
  }

  test("the router finds the same route, for any routes without conflicts and any request", () => {
    fc.assert(
      fc.property(
        fc.array(match, { maxLength: 12 }),
        fc.array(facts, { minLength: 1, maxLength: 10 }),
        (drawn, requests) => {
          const named = drawn.map((each, at) => ({ name: String(at), match: each, value: each }));
          const conflicting = new Set(findConflicts(named).map(({ name }) => name));
          const entries = named.filter(({ name }) => !conflicting.has(name));
          const matches = entries.map((each) => each.match);
          const router = createRouter(entries);
          for (const request of requests) {
            const query = `?${new URLSearchParams(request.parameters)}`;
            const found = router.match(request, source(Object.entries(request.fields).flat(), query));
            const isRefusal = found !== undefined && "allow" in found;
            const comparable = isRefusal ? { allow: new Set(found.allow) } : found;
            expect(comparable).toEqual(oracle(matches, request));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("conflicts", () => {
  const conflicts = (...matches: RouteMatch[]) =>
    findConflicts(matches.map((match, at) => ({ name: `r${at}`, match })));

  test.each<[string, RouteMatch, RouteMatch, readonly string[] | undefined]>([
    ["the same path", { path: "/a" }, { path: "/a" }, undefined],
    ["the same path, encoded", { path: "/a" }, { path: "/%61" }, undefined],
    ["the same prefix", { path: "/a/*" }, { path: "/%61/*" }, undefined],
    [
      "a method in common",
      { path: "/a", methods: ["GET", "PUT"] },
      { path: "/a", methods: ["PUT"] },
      ["PUT"],
    ],
    ["GET includes HEAD", { path: "/a", methods: ["GET"] }, { path: "/a", methods: ["HEAD"] }, ["HEAD"]],
    ["the same host", { path: "/a", host: ["h"] }, { path: "/a", host: ["i", "h"] }, undefined],
    ["the same wildcard", { path: "/a", host: ["*.h"] }, { path: "/a", host: ["*.h"] }, undefined],
    [
      "the same conditions",
      { path: "/a", header: { "X-V": "2" }, query: { v: "1" } },
      { path: "/a", query: { v: "1" }, header: { "x-v": "2" } },
      undefined,
    ],
  ])("%s", (_, first, second, methods) => {
    expect(conflicts(first, second)).toEqual([{ name: "r1", other: "r0", methods, isPartial: false }]);
  });

  test.each<[string, RouteMatch, RouteMatch, readonly string[] | undefined]>([
    ["two fields", { path: "/a", header: { a: "1" } }, { path: "/a", header: { b: "1" } }, undefined],
    [
      "a field and a parameter",
      { path: "/a", header: { a: "1" } },
      { path: "/a", query: { a: "2" } },
      undefined,
    ],
    [
      "with methods",
      { path: "/a", header: { a: "1" }, methods: ["GET"] },
      { path: "/a", header: { b: "1" } },
      ["GET", "HEAD"],
    ],
    [
      "one of two in common",
      { path: "/a", header: { a: "1", b: "1" } },
      { path: "/a", header: { a: "1", c: "1" } },
      undefined,
    ],
  ])("as many conditions, which one request can meet: %s", (_, first, second, methods) => {
    expect(conflicts(first, second)).toEqual([{ name: "r1", other: "r0", methods, isPartial: true }]);
  });

  test.each<[string, RouteMatch, RouteMatch]>([
    ["exact and prefix", { path: "/a" }, { path: "/a/*" }],
    ["other methods", { path: "/a", methods: ["GET"] }, { path: "/a", methods: ["POST"] }],
    ["some methods, and the rest", { path: "/a", methods: ["GET"] }, { path: "/a" }],
    ["another host", { path: "/a", host: ["h"] }, { path: "/a" }],
    ["a host and its wildcard", { path: "/a", host: ["a.h"] }, { path: "/a", host: ["*.h"] }],
    ["two wildcards", { path: "/a", host: ["*.a.h"] }, { path: "/a", host: ["*.h"] }],
    ["a condition, and the rest", { path: "/a", header: { a: "1" } }, { path: "/a" }],
    ["two values", { path: "/a", header: { a: "1" } }, { path: "/a", header: { A: "2" } }],
    ["more conditions", { path: "/a", header: { a: "1", b: "1" } }, { path: "/a", header: { a: "1" } }],
    [
      "two conditions for other methods",
      { path: "/a", header: { a: "1" }, methods: ["GET"] },
      { path: "/a", header: { b: "1" }, methods: ["POST"] },
    ],
    ["an encoded slash", { path: "/a%2fb" }, { path: "/a/b" }],
  ])("none: %s", (_, first, second) => {
    expect(conflicts(first, second)).toEqual([]);
  });
});
