import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { jsonSchema } from "../../../src/config/json-schema.ts";
import { spellPath } from "../../../src/config/problem.ts";
import { routeSchema } from "../../../src/config/route-schema.ts";
import { phrase, problemsIn } from "../../../src/config/schema-problems.ts";
import { afterTest } from "../../support/after-test.ts";
import { certificate } from "../../support/certificate.ts";

const A = "http://a.test";
const B = "http://b.test";

function parse(upstream: unknown) {
  return routeSchema.safeParse({ match: { path: "/*" }, upstream }, { error: phrase, reportInput: true });
}

/** Every problem as `place: message`. */
function problems(upstream: unknown): string[] {
  const result = parse(upstream);
  if (result.success) return [];
  return problemsIn(result.error.issues, jsonSchema("route")).map(
    ({ path, message }) => `${spellPath(path)}: ${message}`,
  );
}

function temporaryFile(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), "sluice-"));
  afterTest(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "ca.pem");
  writeFileSync(path, text);
  return path;
}

test("the defaults are nginx's except for balance, because streams are long", () => {
  expect(parse(A).data?.upstream).toMatchObject({
    backends: [{ weight: 1, backup: false, maxFails: 1, failTimeout: 10_000 }],
    balance: { method: "leastConnections" },
    retries: 1,
    hostHeader: "preserve",
    acceptEncoding: "pass",
  });
  expect(parse(A).data?.upstream).not.toHaveProperty("healthCheck");
  expect(parse({ backends: [{ url: A }], healthCheck: { path: "/healthz" } }).data?.upstream).toMatchObject({
    healthCheck: { path: "/healthz", interval: 5_000, timeout: 2_000, healthy: 2, unhealthy: 2 },
  });
});

test("a file of certificate authorities is read at load", () => {
  const ca = temporaryFile(`a comment\n${certificate.cert}`);
  const { data } = parse({ backends: [{ url: "https://a.test" }], tls: { ca } });
  expect(data?.upstream).toMatchObject({ tls: { verify: true, ca: expect.stringMatching(/^-----BEGIN/) } });
});

test.each<[string, unknown, string]>([
  ["no backend", { backends: [] }, "upstream.backends: expected at least one backend"],
  [
    "backups alone",
    {
      backends: [
        { url: A, backup: true },
        { url: B, backup: true },
      ],
    },
    "upstream.backends: expected at least one backend that is not a backup",
  ],
  [
    "one backend twice",
    { backends: [{ url: A }, { url: B }, { url: "HTTP://A.test:80/" }] },
    "upstream.backends[2].url: the same backend as backends[0]; to give it more requests, set its weight",
  ],
  [
    "a weight of 0",
    { backends: [{ url: A, weight: 0 }] },
    "upstream.backends[0].weight: expected at least 1",
  ],
  [
    "a negative maxFails",
    { backends: [{ url: A, maxFails: -1 }] },
    "upstream.backends[0].maxFails: expected at least 0",
  ],
  ["many retries", { backends: [{ url: A }], retries: 11 }, "upstream.retries: expected at most 10"],
  [
    "a check too often",
    { backends: [{ url: A }], healthCheck: { path: "/", interval: "10ms" } },
    "upstream.healthCheck.interval: expected a duration from 50ms to 1h",
  ],
  [
    "a check of nothing",
    { backends: [{ url: A }], healthCheck: { path: "healthz" } },
    "upstream.healthCheck.path: expected a path such as /healthz",
  ],
  [
    "tls without https",
    { backends: [{ url: A }], tls: { verify: false } },
    "upstream.tls: expected an https backend to verify",
  ],
  [
    "an authority's file without certificates",
    { backends: [{ url: "https://a.test" }], tls: { ca: "test/vitest.config.ts" } },
    "upstream.tls.ca: test/vitest.config.ts: expected certificates in PEM form",
  ],
  [
    "an authority's file that is missing",
    { backends: [{ url: "https://a.test" }], tls: { ca: "missing.pem" } },
    "upstream.tls.ca: missing.pem: does not exist",
  ],
  [
    "a server name with a port",
    { backends: [{ url: "https://a.test" }], tls: { serverName: "a.test:443" } },
    "upstream.tls.serverName: expected a host name",
  ],
])("%s is refused with its place", (_name, upstream, problem) => {
  expect(problems(upstream)).toEqual([problem]);
});

test("a misspelt balance is reported with the nearest name", () => {
  expect(problems({ backends: [{ url: A }], balance: "leastConnection" })[0]).toMatch(
    /^upstream\.balance: expected .*did you mean leastConnections\?$/,
  );
});

test.each<[unknown, unknown]>([
  ["hash", { method: "hash", by: "ip" }],
  [{ method: "hash" }, { method: "hash", by: "ip" }],
  [
    { method: "hash", by: "header:X-User" },
    { method: "hash", by: "header:X-User" },
  ],
  [
    { method: "hash", by: "cookie:session" },
    { method: "hash", by: "cookie:session" },
  ],
  [
    { method: "hash", by: "query:a[0]" },
    { method: "hash", by: "query:a[0]" },
  ],
  ["roundRobin", { method: "roundRobin" }],
  [{ method: "randomTwo" }, { method: "randomTwo" }],
])("balance: %j is a method with what it hashes", (balance, config) => {
  expect(parse({ backends: [{ url: A }], balance }).data?.upstream?.balance).toEqual(config);
});

test.each<[unknown, string]>([
  [{ method: "hash", by: "header" }, ".by: expected header:NAME, such as header:X-User-Id"],
  [{ method: "hash", by: "cookie:" }, ".by: expected cookie:NAME, such as cookie:session"],
  [{ method: "hash", by: "query" }, ".by: expected query:NAME, such as query:room"],
  [
    { method: "hash", by: "header:X User" },
    ".by: expected header:NAME with a name such as header:X-User-Id has",
  ],
  [{ method: "hash", by: "query:a=b" }, ".by: expected query:NAME with a name such as query:room has"],
  [{ method: "hash", by: "uri" }, ".by: expected ip, header:NAME, cookie:NAME or query:NAME"],
  [{ method: "roundRobin", by: "ip" }, ".by: expected no by with method: roundRobin; only hash uses it"],
  [{ by: "ip" }, ".method: missing; expected leastConnections, roundRobin, hash or randomTwo"],
  ["ip_hash", ": expected leastConnections, roundRobin, hash, randomTwo, or an object with method"],
])("balance: %j is refused with the remedy", (balance, problem) => {
  expect(problems({ backends: [{ url: A }], balance })).toEqual([`upstream.balance${problem}`]);
});

const COOKIE = { name: "home", sameSite: "lax" };

test.each<[unknown, unknown]>([
  [{ cookie: "home" }, { cookie: COOKIE }],
  [
    { cookie: { name: "home", sameSite: "none", maxAge: "1h", secret: "s" } },
    { cookie: { name: "home", sameSite: "none", maxAge: 3_600_000, secret: "s" } },
  ],
  [
    { learn: "Mcp-Session-Id" },
    { learn: { field: "Mcp-Session-Id", maxKeys: 100_000, expires: 86_400_000 } },
  ],
  [
    { learn: { field: "X-Id", maxKeys: 10, expires: "5m" } },
    { learn: { field: "X-Id", maxKeys: 10, expires: 300_000 } },
  ],
])("sticky: %j is read with its defaults", (sticky, config) => {
  expect(parse({ backends: [{ url: A }, { url: B }], sticky }).data?.upstream?.sticky).toEqual(config);
});

test("sticky with one backend is accepted: others may be added later", () => {
  expect(problems({ backends: [{ url: A }], sticky: { cookie: "home" } })).toEqual([]);
});

test.each<[unknown, string]>([
  [{}, ": expected cookie: NAME or learn: FIELD"],
  [
    { cookie: "home", learn: "X-Id" },
    ".learn: expected either cookie or learn, and not both: they could name two backends",
  ],
  [
    { cookie: "my cookie" },
    ".cookie: expected a name of letters, digits and -, without spaces (RFC 9110 token)",
  ],
  [{ cookie: {} }, ".cookie.name: missing; expected a text"],
  [
    { cookie: { name: "a;b" } },
    ".cookie.name: expected a name of letters, digits and -, without spaces (RFC 9110 token)",
  ],
  [
    { cookie: { name: "a", sameSite: "Lax" } },
    ".cookie.sameSite: expected lax, strict or none; did you mean lax?",
  ],
  [
    { cookie: { name: "a", expires: "1h" } },
    ".cookie.expires: unknown key; did you mean upstream.sticky.learn.expires?",
  ],
  [{ learn: "X Id" }, ".learn: expected a name of letters, digits and -, without spaces (RFC 9110 token)"],
  [
    { learn: { field: "Set-Cookie" } },
    ".learn.field: expected a field that later requests send back; for a cookie use sticky.cookie",
  ],
  [
    { learn: 5 },
    ".learn: expected the name of a response field such as Mcp-Session-Id, or an object with field",
  ],
  [{ learn: { field: "X-Id", maxKeys: 0 } }, ".learn.maxKeys: expected at least 1"],
  [{ learn: { field: "X-Id", expires: "0s" } }, ".learn.expires: expected a duration from 1ms to 24d"],
])("sticky: %j is refused with the remedy", (sticky, problem) => {
  expect(problems({ backends: [{ url: A }], sticky })).toEqual([`upstream.sticky${problem}`]);
});

test("sticky that another key of the route makes useless is refused, also in an environment", () => {
  const upstream = { backends: [{ url: A }], sticky: { cookie: "session" } };
  const plain = { backends: [{ url: A }] };
  const found = (route: Readonly<Record<string, unknown>>) => {
    const options = { error: phrase, reportInput: true };
    const result = routeSchema.safeParse({ match: { path: "/a" }, ...route }, options);
    return result.success
      ? []
      : result.error.issues.map(({ path, message }) => `${spellPath(path)}: ${message.slice(0, 52)}`);
  };
  const sharing = "expected no sticky together with shared: one backend";
  expect(found({ upstream, shared: {}, stages: { TEST: {} } })).toEqual([`upstream.sticky: ${sharing}`]);
  expect(found({ upstream: plain, shared: {}, stages: { TEST: { upstream } } })).toEqual([
    `stages.TEST.upstream.sticky: ${sharing}`,
  ]);
  const jwt = {
    issuer: "https://issuer.test",
    audience: "a",
    jwks: "https://issuer.test/keys",
    cookie: "session",
  };
  expect(found({ upstream, auth: { jwt } })).toEqual([
    "upstream.sticky.cookie: expected another cookie than auth.jwt.cookie, which ",
  ]);
  expect(found({ upstream, auth: { jwt: { ...jwt, cookie: "other" } } })).toEqual([]);
});

test("ca together with verify: false, and a file without a valid certificate, are refused", () => {
  const backends = [{ url: "https://a.test" }];
  expect(problems({ backends, tls: { ca: temporaryFile(certificate.cert), verify: false } })).toEqual([
    "upstream.tls.ca: expected no ca together with verify: false",
  ]);
  const broken = temporaryFile("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  expect(problems({ backends, tls: { ca: broken } })).toEqual([
    `upstream.tls.ca: ${broken}: expected valid certificates`,
  ]);
});
