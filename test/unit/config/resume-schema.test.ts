import { expect, test } from "vitest";
import { jsonSchema } from "../../../src/config/json-schema.ts";
import { spellPath } from "../../../src/config/problem.ts";
import { routeSchema } from "../../../src/config/route-schema.ts";
import { phrase, problemsIn } from "../../../src/config/schema-problems.ts";

const JWT = { issuer: "https://issuer.example", audience: "a", jwks: "https://issuer.example/jwks" };
const BY = { by: ["header:X-User"] };

const problems = (route: Record<string, unknown>): string[] => {
  const file = { match: { path: "/s" }, upstream: "http://h", ...route };
  const parsed = routeSchema.safeParse(file, { error: phrase, reportInput: true });
  return parsed.success
    ? []
    : problemsIn(parsed.error.issues, jsonSchema("route")).map(
        ({ path, message }) => `${spellPath(path)}: ${message}`,
      );
};

test("has a default for everything on a route with auth", () => {
  const { resume } = routeSchema.parse({
    match: { path: "/s" },
    upstream: "http://h",
    auth: { jwt: JWT },
    resume: {},
  });
  expect(resume).toEqual({
    key: "Idempotency-Key",
    grace: 60_000,
    keep: 600_000,
    bytes: 4 * 1024 ** 2,
    answers: 1000,
    answersPerClient: 20,
    ids: "auto",
  });
});

test("by is required without auth, and must not name a principal", () => {
  expect(problems({ resume: {} })[0]).toMatch(/^resume: expected by, because the route has no auth/);
  expect(problems({ resume: { by: ["principal"] } })[0]).toMatch(/^resume\.by: expected header:NAME/);
  expect(problems({ resume: BY })).toEqual([]);
  expect(problems({ auth: { jwt: JWT }, resume: { by: ["principal", "header:X-Tenant"] } })).toEqual([]);
});

test.each([
  [{ by: ["path"] }, /expected principal or header:NAME/],
  [{ by: [] }, /expected principal or header:NAME/],
  [{ by: ["header:X-Forwarded-For"] }, /clients may choose/],
  [{ ...BY, key: "Content-Type" }, /a field that names the request/],
  [{ ...BY, key: "a b" }, /expected a name/],
  [{ ...BY, bytes: "10" }, /at least 1k/],
  [{ ...BY, ids: "always" }, /auto/],
  [{ ...BY, answers: 0 }, /1/],
])("refuses %j", (resume, message) => {
  expect(problems({ resume })[0]).toMatch(message);
});

test("refuses methods without POST, GET and DELETE, shared, and a mock", () => {
  expect(problems({ match: { path: "/s", methods: ["POST"] }, resume: BY })[0]).toMatch(
    /^match\.methods: expected GET and DELETE in the list/,
  );
  expect(problems({ resume: BY, shared: {} })[0]).toMatch(/^resume: expected no resume beside shared/);
  expect(problems({ resume: BY, upstream: undefined, mock: { status: 200 } })[0]).toMatch(
    /^resume: expected no resume beside mock/,
  );
});
