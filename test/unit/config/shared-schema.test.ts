import { expect, test } from "vitest";
import { jsonSchema } from "../../../src/config/json-schema.ts";
import { spellPath } from "../../../src/config/problem.ts";
import { routeSchema } from "../../../src/config/route-schema.ts";
import { phrase, problemsIn } from "../../../src/config/schema-problems.ts";

const problems = (route: Record<string, unknown>): string[] => {
  const file = { match: { path: "/s" }, upstream: "http://h", ...route };
  const parsed = routeSchema.safeParse(file, { error: phrase, reportInput: true });
  return parsed.success
    ? []
    : problemsIn(parsed.error.issues, jsonSchema("route")).map(
        ({ path, message }) => `${spellPath(path)}: ${message}`,
      );
};

test("has a default for everything", () => {
  const { shared } = routeSchema.parse({ match: { path: "/s" }, upstream: "http://h", shared: {} });
  expect(shared).toMatchObject({
    history: { events: 1000, bytes: 8 * 1024 ** 2, age: 600_000 },
    ids: "auto",
    linger: 30_000,
    onGap: "signal",
    polling: true,
  });
});

test("the backend of a version sees the version", () => {
  const match = { path: "/s", header: { "X-Api-Version": "2" }, query: { v: "2" } };
  expect(problems({ match, shared: {} })).toEqual([
    "shared: expected by: [path, query, header:x-api-version], because of match.header and match.query: the backend gets no other part of a request, and would not see the version",
  ]);
  expect(problems({ match, shared: { by: ["path", "header:X-Api-Version"] } })[0]).toContain("query]");
  expect(problems({ match, shared: { by: ["query", "header:X-Api-Version"] } })).toEqual([]);
});

test.each([
  ["by: principal is said", { by: ["path", "query", "principal"] }],
  ["by: principal is left out by word", { by: ["path"] }],
])("with auth it is accepted when %s", (_, shared) => {
  expect(problems({ auth: { jwt: JWT }, shared })).toEqual([]);
});

test("with auth, by is required", () => {
  expect(problems({ auth: { jwt: JWT }, shared: {} })[0]).toMatch(
    /^shared: expected by, because the route has auth/,
  );
});

test.each([
  [{ by: ["paths"] }, /expected path, query, principal or header:NAME/],
  [{ by: ["header:"] }, /expected path, query, principal or header:NAME/],
  [{ by: ["header:a b"] }, /expected path, query, principal or header:NAME/],
  [{ by: ["path", "header:Last-Event-ID"] }, /clients may choose/],
  [{ by: ["path", "header:X-Forwarded-For"] }, /clients may choose/],
  [{ by: [] }, /expected path/],
  [{ redial: { min: "1m", max: "1s" } }, /at most redial.max/],
  [{ maxEvent: "1" }, /1k to 64m/],
])("refuses %j", (shared, message) => {
  expect(problems({ shared })[0]).toMatch(message);
});

test("refuses a route without GET, and a route of many paths whose key lacks path", () => {
  expect(problems({ match: { path: "/s", methods: ["POST"] }, shared: {} })[0]).toMatch(/only GET/);
  expect(problems({ match: { path: "/s/*" }, shared: { by: ["query"] } })[0]).toMatch(/expected path/);
});

const JWT = { issuer: "https://issuer.example", audience: "a", jwks: "https://issuer.example/jwks" };
