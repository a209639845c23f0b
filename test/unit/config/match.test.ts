import { describe, expect, test } from "vitest";
import { findOpenAlternatives, withVary } from "../../../src/config/conditional-routes.ts";
import { parseConfig } from "../../../src/config/inline.ts";
import { ConfigError, formatProblem } from "../../../src/config/problem.ts";
import type { RouteInput } from "../../../src/config/route-schema.ts";

const UPSTREAM = "http://a:1";
const load = (routes: Readonly<Record<string, Partial<RouteInput>>>) =>
  parseConfig(
    {
      routes: Object.fromEntries(
        Object.entries(routes).map(([name, route]) => [name, { upstream: UPSTREAM, ...route } as RouteInput]),
      ),
    },
    {},
  ).routes;

/** The problems of a configuration, as printed. */
function problemsOf(routes: Readonly<Record<string, unknown>>): string[] {
  try {
    load(routes as Parameters<typeof load>[0]);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(formatProblem);
    throw error;
  }
}
const problemsWith = (match: object): string[] =>
  problemsOf({ r: { match: { path: "/a", ...match } } }).map((problem) =>
    problem.replace(/^config\/routes\/r\.yaml:\d+:\d+ /, ""),
  );

test("a host is compared without case and final dot", () => {
  const [route] = load({ r: { match: { path: "/a", host: ["Example.COM.", "*.Example.com", "[::1]"] } } });
  expect(route?.match.host).toEqual(["example.com", "*.example.com", "[::1]"]);
});

describe("the problem of a host says what was meant", () => {
  const EXPECTED = "expected a host name without a port, such as app.example.com or *.example.com";

  test.each<[unknown, string]>([
    ["*example.com", `match.host: ${EXPECTED}, or a list of them; did you mean "*.example.com"?`],
    [
      ".example.com",
      `match.host: ${EXPECTED}, or a list of them; did you mean [example.com, "*.example.com"]?`,
    ],
    ["www.*", `match.host: ${EXPECTED}, or a list of them; * stands only at the start, as in *.example.com`],
    [
      "a.*.com",
      `match.host: ${EXPECTED}, or a list of them; * stands only at the start, as in *.example.com`,
    ],
    ["*", `match.host: ${EXPECTED}, or a list of them; leave it out for any host`],
    ["*.example.com:8080", `match.host: ${EXPECTED}, or a list of them; did you mean "*.example.com"?`],
    ["https://a.example.com/", `match.host: ${EXPECTED}, or a list of them; did you mean a.example.com?`],
    [["a.example.com", "b.example.com:1"], `match.host[1]: ${EXPECTED}; did you mean b.example.com?`],
    [["a.example.com", "A.example.com."], "match.host[1]: the same host as host[0]"],
    [[], "match.host: expected at least one host"],
  ])("%j", (host, problem) => {
    expect(problemsWith({ host })).toEqual([problem]);
  });
});

describe("a condition", () => {
  test("may be a whole number", () => {
    const [route] = load({ r: { match: { path: "/a", header: { "X-V": 2 }, query: { v: 3 } } } });
    expect(route?.match).toMatchObject({ header: { "X-V": "2" }, query: { v: "3" } });
  });

  test.each<[object, RegExp]>([
    [{ header: { Host: "a" } }, /^match\.header\.Host: expected a field of the application/],
    [{ header: { authorization: "Bearer x" } }, /read by host, auth or stages/],
    [{ header: { "X-Forwarded-For": "1.1.1.1" } }, /set by sluice/],
    [{ header: { "a b": "1" } }, /^match\.header\.a b: expected a name of letters/],
    [{ header: { "X-V": "" } }, /^match\.header\.X-V: /],
    [{ header: { "X-V": " 2" } }, /^match\.header\.X-V: /],
    [{ header: { "X-V": 1.1 } }, /^match\.header\.X-V: expected a text, quoted/],
    [{ header: { "X-V": true } }, /^match\.header\.X-V: expected a text, quoted/],
    [{ header: { "X-V": "1", "x-v": "2" } }, /expected each field once; case is ignored$/],
    [{ header: Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`X-${at}`, "1"])) }, /at most 8/],
    [{ query: { "a=b": "1" } }, /^match\.query\.a=b: expected the name of a parameter/],
    [{ query: { v: "a+b" } }, /^match\.query\.v: expected /],
    [{ query: { v: "a b" } }, /^match\.query\.v: expected /],
    [{ query: "v=2" }, /^match\.query: expected an object/],
  ])("is refused: %j", (match, problem) => {
    const problems = problemsWith(match);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });
});

const versioned = (version: string, more: Partial<RouteInput> = {}): Partial<RouteInput> => ({
  match: { path: "/api/*", header: { "X-V": version } },
  ...more,
});

describe("routes that one request can match", () => {
  test("as many conditions", () => {
    expect(problemsOf({ a: versioned("2"), b: { match: { path: "/api/*", query: { v: "2" } } } })).toEqual([
      "config/routes/b.yaml:3:9 match.path: a request can meet the conditions of this route and of config/routes/a.yaml:3:9, which has as many; expected one more condition in one of them, or another value of the same field or parameter",
    ]);
  });

  test("another value, or more conditions, are no conflict", () => {
    const both = { match: { path: "/api/*", header: { "X-V": "2", "X-W": "1" } } };
    expect(
      problemsOf({ a: versioned("2"), b: versioned("3"), c: both, d: { match: { path: "/api/*" } } }),
    ).toEqual([]);
  });
});

describe("cors is the same for all values of a field, because a preflight does not carry the value", () => {
  const cors = { allowOrigins: ["https://a.example"] };
  const MESSAGE =
    /^config\/routes\/\w+\.yaml:\d+:\d+ cors: expected the same cors as in config\/routes\/(\w+)\.yaml, which serves the requests with another X-V: a preflight does not carry the value of a field$/;

  test.each<[string, Readonly<Record<string, Partial<RouteInput>>>]>([
    ["the same path", { other: { match: { path: "/api/*" } } }],
    ["another value", { other: versioned("3") }],
    ["a shorter prefix", { other: { match: { path: "/*" } } }],
    [
      "any host",
      {
        other: { match: { path: "/api/longer/*" } },
        v2: { match: { path: "/api/*", host: "h", header: { "X-V": "2" } }, cors },
      },
    ],
    [
      "a wider host",
      {
        other: { match: { path: "/api/x", host: "*.h" } },
        v2: { match: { path: "/api/*", host: "a.h", header: { "X-V": "2" } }, cors },
      },
    ],
  ])("%s", (_, routes) => {
    const problems = problemsOf({ v2: versioned("2", { cors }), ...routes });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(MESSAGE);
  });

  test.each<[string, Readonly<Record<string, Partial<RouteInput>>>]>([
    ["the same cors", { other: { match: { path: "/api/*" }, cors } }],
    ["a longer path, which is tried before", { other: { match: { path: "/api/x" } } }],
    [
      "another method",
      {
        other: { match: { path: "/api/*", methods: ["PUT"] } },
        v2: { match: { path: "/api/*", methods: ["GET"], header: { "X-V": "2" } }, cors },
      },
    ],
    [
      "another host",
      {
        other: { match: { path: "/*", host: "i" } },
        v2: { match: { path: "/api/*", host: "h", header: { "X-V": "2" } }, cors },
      },
    ],
    [
      "a parameter, which a preflight carries",
      { other: { match: { path: "/api/*" } }, v2: { match: { path: "/api/*", query: { v: "2" } }, cors } },
    ],
  ])("no problem: %s", (_, routes) => {
    expect(problemsOf({ v2: versioned("2", { cors }), ...routes })).toEqual([]);
  });
});

test("Vary names the fields on which each route depends", () => {
  const routes = load({
    v2: versioned("2"),
    beta: { match: { path: "/api/*", header: { "X-V": "2", "X-Beta": "1" } } },
    rest: { match: { path: "/*" } },
    longer: { match: { path: "/api/x" } },
    query: { match: { path: "/q", query: { v: "1" } } },
  });
  const varies = Object.fromEntries(withVary(routes).map(({ name, vary }) => [name, vary]));
  expect(varies).toEqual({
    ...{ beta: "X-Beta, X-V", v2: "X-Beta, X-V", rest: "X-Beta, X-V" },
    ...{ longer: undefined, query: undefined },
  });
});

describe("a condition that decides over credentials", () => {
  const access = { allow: ["10.0.0.0/8"] };
  const found = (routes: Readonly<Record<string, Partial<RouteInput>>>) => findOpenAlternatives(load(routes));

  test("is found: of the same path", () => {
    const pair = { name: "v2", other: "v1", conditions: "X-V: 2" };
    const v1 = { match: { path: "/api/*" }, upstream: "http://b:1" };
    expect(found({ v1, v2: versioned("2", { access }) })).toEqual([pair]);
    expect(found({ v1: { ...v1, access }, v2: versioned("2") })).toEqual([
      { name: "v1", other: "v2", conditions: "X-V: 2" },
    ]);
  });

  test("is found: of a shorter path with the same backend", () => {
    const rest = { match: { path: "/*" } };
    expect(found({ rest, v2: versioned("2", { access }) })).toHaveLength(1);
    expect(found({ rest: { ...rest, upstream: "http://b:1" }, v2: versioned("2", { access }) })).toEqual([]);
  });

  test("not if both are guarded, or if no condition chooses between them", () => {
    expect(found({ v1: { match: { path: "/api/*" }, access }, v2: versioned("2", { access }) })).toEqual([]);
    expect(found({ rest: { match: { path: "/*" } }, api: { match: { path: "/api/*" }, access } })).toEqual(
      [],
    );
  });
});
