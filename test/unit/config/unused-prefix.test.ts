import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../src/config/inline.ts";
import { ConfigError, formatProblem } from "../../../src/config/problem.ts";
import type { RouteInput } from "../../../src/config/route-schema.ts";

type Server = NonNullable<Parameters<typeof parseConfig>[0]["server"]>;

/** The problems of a route with this path, as printed. */
function problemsOf(path: string, route: Partial<RouteInput>, server: Server = {}): string[] {
  try {
    parseConfig({ server, routes: { r: { match: { path }, mock: {}, ...route } } }, {});
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(formatProblem);
    throw error;
  }
}
const stripping = (path: string, stripPrefix: string) => problemsOf(path, { rewrite: { stripPrefix } });

describe("a stripPrefix that no path of its route begins with", () => {
  test("is a problem with its place, in an environment too", () => {
    expect(stripping("/chat/*", "/api")).toEqual([
      "config/routes/r.yaml:5:16 rewrite.stripPrefix: no path of this route begins with /api; expected the beginning of match.path, which is /chat/*",
    ]);
    const stages = { TEST: { mock: {}, rewrite: { stripPrefix: "/api" } } };
    expect(problemsOf("/chat/*", { stages })).toEqual([
      "config/routes/r.yaml:8:20 stages.TEST.rewrite.stripPrefix: no path of this route begins with /api; expected the beginning of match.path, which is /chat/*",
    ]);
  });

  test.each([
    ["/chat/*", "/ch"],
    ["/chat", "/chat/more"],
    ["/", "/chat"],
    ["/chat/a", "/chat/b"],
    ["/chat/a/*", "/chat/b"],
  ])("is one for %s and %s", (path, prefix) => {
    expect(stripping(path, prefix)).toHaveLength(1);
  });

  test.each([
    ["/chat/*", "/chat"],
    ["/chat/*", "/chat/v1"],
    ["/chat/a", "/chat"],
    ["/chat/a", "/chat/a"],
    ["/*", "/chat"],
    ["/chat/*", "/"],
    ["/%63hat/*", "/chat"],
    ["/chat/*", "/%63hat/"],
  ])("is none for %s and %s", (path, prefix) => {
    expect(stripping(path, prefix)).toEqual([]);
  });

  test("is none if it is a default: other routes use it", () => {
    const defaults = { rewrite: { stripPrefix: "/api" } };
    expect(problemsOf("/healthz", {}, { defaults })).toEqual([]);
    expect(problemsOf("/healthz", { rewrite: { addPrefix: "/x" } }, { defaults })).toEqual([]);
  });
});
