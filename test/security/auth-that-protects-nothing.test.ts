import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { afterTest } from "../support/after-test.ts";

const JWT = "jwt: { issuer: https://id.test, audience: api, jwks: jwks.json";
const APPS = `shop: { key: shop, secret: s3cret, appCodes: [${"a".repeat(64)}] }\nbare: { key: bare, secret: s3cret }\n`;

function problemsOf(auth: string, { apps = APPS, match = "path: /feed" } = {}): string[] {
  const root = mkdtempSync(join(tmpdir(), "config-"));
  afterTest(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "routes"));
  writeFileSync(join(root, "apps.yaml"), apps);
  writeFileSync(
    join(root, "routes", "feed.yaml"),
    `match: { ${match} }\nupstream: http://127.0.0.1:1\nauth: ${auth}\n`,
  );
  const loaded = loadConfig(root, {});
  return "problems" in loaded
    ? loaded.problems.map((problem) => formatProblem(problem).replace(`${root}/`, ""))
    : [];
}

test("auth that would admit no request, or every request, is a problem with a position", () => {
  const cases: [string, string][] = [
    ["", "3:1 auth: expected an object"],
    ["{}", "3:7 auth: expected at least one of app, appCode, jwt"],
    ["{ appCode: false }", "3:7 auth: expected at least one of app, appCode, jwt"],
    ["{ ticket: {} }", "3:7 auth: expected at least one of app, appCode, jwt"],
    ["{ appcode: true }", "auth.appcode: unknown key; did you mean appCode?"],
    ["{ appCode: true, app: [bare] }", "3:9 auth.appCode: no app of this route has appCodes in apps.yaml"],
    ["{ jwt: {} }", "auth.jwt.issuer: missing"],
    [`{ ${JWT}, algorithms: [none] } }`, "auth.jwt.algorithms[0]: expected RS256"],
    [`{ ${JWT}, algorithms: [HS256] } }`, "auth.jwt.algorithms[0]: expected RS256"],
    [`{ ${JWT}, algorithms: [] } }`, "auth.jwt.algorithms: expected at least one algorithm"],
    [`{ ${JWT.replace("https://id.test", '""')} } }`, "auth.jwt.issuer: expected a text that is not empty"],
    [`{ ${JWT.replace("api", '""')} } }`, "auth.jwt.audience: expected"],
    [`{ ${JWT.replace("api", "[]")} } }`, "auth.jwt.audience: expected"],
    [`{ ${JWT.replace("jwks.json", "ftp://id.test/")} } }`, "auth.jwt.jwks: expected a URL"],
    [`{ ${JWT.replace("jwks.json", "https://a:b@id.test/")} } }`, "auth.jwt.jwks: expected a URL without"],
    [`{ ${JWT}, claims: { X-Forwarded-For: sub } } }`, "expected no field that"],
    [`{ ${JWT}, claims: { X_Real_IP: sub } } }`, "expected no field that"],
    [`{ ${JWT}, claims: { Authorization: sub } } }`, "expected no field that"],
    [`{ ${JWT}, claims: { Content-Length: sub } } }`, "expected no field that"],
    [`{ ${JWT} }, ticket: { ttl: 10ms } }`, "auth.ticket.ttl: expected at least 1s"],
    [`{ ${JWT} }, ticket: { limit: 0 } }`, "auth.ticket.limit: expected at least 1"],
  ];
  for (const [auth, problem] of cases) {
    expect(problemsOf(auth).join("\n"), auth).toContain("routes/feed.yaml:");
    expect(problemsOf(auth).join("\n"), auth).toContain(problem);
  }
  expect(problemsOf(`{ ${JWT} }, ticket: {} }`, { match: "path: /feed, methods: [POST]" })).toEqual([
    expect.stringContaining(
      "auth.ticket: a ticket is for a GET request, and match.methods does not contain GET",
    ),
  ]);
  // Control.
  expect(problemsOf(`{ appCode: true, ${JWT} }, ticket: {} }`)).toEqual([]);
});

test("an app with an empty secret, or without one, is a problem", () => {
  const auth = "{ appCode: true }";
  expect(problemsOf(auth, { apps: 'shop: { key: shop, secret: "" }' }).join()).toContain("apps.yaml:");
  expect(problemsOf(auth, { apps: "shop: { key: shop }" }).join()).toContain("shop.secret: missing");
});
