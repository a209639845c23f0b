import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findConflicts } from "../../../src/config/conflicts.ts";
import type { RouteMatch } from "../../../src/config/route-schema.ts";
import { hostName } from "../../../src/http/request-head.ts";
import { routingPath } from "../../../src/http/routing-path.ts";
import { createRouter, inMatchingOrder, type RoutingFacts } from "../../../src/routing/router.ts";

const entry = (match: RouteMatch) => {
  const name = [...(match.methods ?? ["any"]), `${match.host ?? ""}${match.path}`].join(" ");
  return { name, match, value: name };
};
const route = (matches: readonly RouteMatch[], path: string, method = "GET", host = "any.example") =>
  createRouter(matches.map(entry)).match({ host, path: routingPath(path), method });

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
    { path: "/*", host: "h.example" },
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
    const matches = [{ path: "/only", host: "h.example" }, { path: "/*" }];
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
  for (let count = 0; count < 1000; count += 1) router.match({ host: "h", path, method: "GET" });
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
      host: fc.constantFrom("h.example", "i.example"),
      methods: fc.uniqueArray(fc.constantFrom("GET", "HEAD", "POST", "OPTIONS"), { minLength: 1 }),
    },
    { requiredKeys: ["path"] },
  );
  const facts: fc.Arbitrary<RoutingFacts> = fc.record({
    host: fc.constantFrom("h.example", "other.example"),
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

  /** Sorts every route that fits, by nginx's rules in their order, and takes the first. */
  function oracle(matches: readonly RouteMatch[], { host, path, method }: RoutingFacts) {
    const rank = (match: RouteMatch): number[] => [
      match.host === undefined ? 1 : 0,
      match.path.endsWith("/*") ? 1 : 0,
      -routingPath(match.path).length,
    ];
    const fitting = matches
      .filter((match) => (match.host === undefined || match.host === host) && takesPath(match, path))
      .toSorted(
        (a, b) =>
          rank(a)
            .map((value, at) => value - (rank(b)[at] ?? 0))
            .find((value) => value !== 0) ?? 0,
      );
    const [first] = fitting;
    if (first === undefined) return undefined;
    const peers = fitting.filter((match) => rank(match).join() === rank(first).join());
    const taking = peers.filter((match) => takesMethod(match, method));
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
            const found = router.match(request);
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
    ["the same host", { path: "/a", host: "h" }, { path: "/a", host: "h." }, undefined],
  ])("%s", (_, first, second, methods) => {
    expect(conflicts(first, second)).toEqual([{ name: "r1", other: "r0", methods }]);
  });

  test.each<[string, RouteMatch, RouteMatch]>([
    ["exact and prefix", { path: "/a" }, { path: "/a/*" }],
    ["other methods", { path: "/a", methods: ["GET"] }, { path: "/a", methods: ["POST"] }],
    ["some methods, and the rest", { path: "/a", methods: ["GET"] }, { path: "/a" }],
    ["another host", { path: "/a", host: "h" }, { path: "/a" }],
    ["an encoded slash", { path: "/a%2fb" }, { path: "/a/b" }],
  ])("none: %s", (_, first, second) => {
    expect(conflicts(first, second)).toEqual([]);
  });
});
