import { expect, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";

const MATCH = "match: { path: /a }\n";
const ROUTE = `${MATCH}upstream: http://127.0.0.1:9\n`;
const LISTEN = "listen: 127.0.0.1:8000\n";

/** What a user writes in a route, from line 3 on, and the whole answer. */
const IN_A_ROUTE: readonly (readonly [text: string, answer: string])[] = [
  ["stream: { heartbeat: 15 seconds }", "3:22 stream.heartbeat: …; did you mean 15s?"],
  ["stream: { maxDuration: 1.5h }", "3:24 stream.maxDuration: …; did you mean 90m?"],
  ["stream: { maxDuration: 0.5s }", "3:24 stream.maxDuration: …; did you mean 500ms?"],
  ["stream: { clientBuffer: 64KB }", "3:25 stream.clientBuffer: …; did you mean 64k?"],
  ["stream: { clientBuffer: 1.5m }", "3:25 stream.clientBuffer: …; did you mean 1536k?"],
  ["debug: 'true'", "3:8 debug: expected true or false; write true without quotes"],
  ["debug: yes", "3:8 debug: expected true or false; did you mean true?"],
  ["cors: { origins: [https://a.example] }", "3:9 cors.origins: unknown key; did you mean allowOrigins?"],
  [
    "cors: { allowOrigins: [https://a.example], credentials: true }",
    "3:44 cors.credentials: unknown key; did you mean allowCredentials?",
  ],
  [
    "cors: { allowOrigins: [https://a.example/x] }",
    "3:24 cors.allowOrigins[0]: …; did you mean https://a.example?",
  ],
  [
    "cors: { allowOrigins: https://a.example }",
    "3:23 cors.allowOrigins: expected a list; did you mean [https://a.example]?",
  ],
  ["cors: { allowOrigins: [https://a.example], maxAge: 3600 }", "3:52 cors.maxAge: …; did you mean 3600s?"],
  [
    "headers: { request: { set: { 'X Role': a } } }",
    "3:30 headers.request.set.X Role: expected a name of letters, digits and -, …",
  ],
  [
    'headers: { response: { set: { X-A: "a\\nb" } } }',
    "3:36 headers.response.set.X-A: expected a field value without line breaks …",
  ],
  ["headers: { request: { add: { X-A: b } } }", "3:23 headers.request.add: unknown key; did you mean set?"],
  ["headers: { X-A: b }", "3:12 headers.X-A: unknown key; expected one of request, response"],
  [
    "headers: { request: { set: { Connection: close } } }",
    "3:30 headers.request.set.Connection: expected no field that …",
  ],
  [
    "rewrite: { regex: ^/a }",
    "3:12 rewrite.regex: unknown key; not there: stripPrefix and addPrefix change a path",
  ],
  ["rewrite: { prefix: /a }", "3:12 rewrite.prefix: unknown key; …stripPrefix, addPrefix…"],
  ["auth: { app: true }", "3:14 auth.app: expected a list of apps such as [web-client], …"],
  ["auth: { app: [web] }", "3:15 auth.app[0]: unknown app web; apps.yaml has no such app"],
  ["auth: { jwt: { issuer: https://i.example } }", "3:9 auth.jwt.audience: missing; …"],
  ["limits: { rates: [{ requests: 5 }] }", "3:11 limits.rates: unknown key; did you mean rate?"],
  ["limits: { rate: [{ requests: 5, per: 1m, by: user }] }", "3:46 limits.rate[0].by: expected …"],
  ["shared: {}\nresume: { by: [header:X-A] }", "4:9 resume: expected no resume beside shared: …"],
  ["upstream: http://127.0.0.1:10", "3:1 upstream: duplicate key"],
  ["---\nmatch: { path: /b }", "3:1: expected one YAML document, found a second"],
  ["stream:\n\theartbeat: 15s", "4:1: invalid YAML: tabs are not allowed as indentation"],
  ["timeout: 30s", "3:1 timeout: unknown key; …"],
];

/** What a user writes behind `upstream:`, and the whole answer. */
const AS_UPSTREAM: readonly (readonly [text: string, answer: string])[] = [
  ["http://127.0.0.1:99999", "2:11 upstream: …; a port is a number from 1 to 65535"],
  ["http://127.0.0.1:0", "2:11 upstream: …; a port is a number from 1 to 65535"],
  ["http://::1:9", "2:11 upstream: …; did you mean http://[::1]:9?"],
  ["http://fe80::1", "2:11 upstream: …; did you mean http://[fe80::1]?"],
  ["htpp://127.0.0.1:9", "2:11 upstream: …; did you mean http://127.0.0.1:9?"],
  ["http://unix:/run/app.sock:/", "2:11 upstream: …; did you mean unix:/run/app.sock?"],
  ["unix:app.sock", "2:11 upstream: …; the path of a socket begins with /"],
  [
    "http://127.0.0.1:9/api",
    "2:11 upstream: expected no path or query; a path prefix belongs in rewrite.addPrefix",
  ],
  ["http://u:p@127.0.0.1:9", "2:11 upstream: expected no credentials; they belong in headers.request.set"],
  ["{ servers: [a] }", "2:13 upstream.servers: unknown key; did you mean backends?"],
  [
    "{ server: a, backends: [{ url: http://a }] }",
    "2:13 upstream.server: unknown key; that is upstream.backends",
  ],
  [
    "{ backends: [{ url: http://a }], balance: roundrobin }",
    "2:53 upstream.balance: …; did you mean roundRobin?",
  ],
  [
    "{ backends: [{ url: http://a }], balance: { method: ip_hash } }",
    "2:63 upstream.balance.method: …; in upstream.balance, did you mean { method: hash, by: ip }?",
  ],
  [
    "{ backends: [{ url: http://a }], least_conn: true }",
    "2:44 upstream.least_conn: unknown key; that is upstream.balance: leastConnections",
  ],
  ["{ backends: [{ url: http://a, weight: 0 }] }", "2:49 upstream.backends[0].weight: expected at least 1"],
  [
    "{ backends: [{ url: http://a, backup: true }] }",
    "2:23 upstream.backends: expected at least one backend that is not a backup",
  ],
  [
    "{ backends: [{ url: http://a }, { url: http://a }] }",
    "2:50 upstream.backends[1].url: the same backend as backends[0]; to give it more requests, set its weight",
  ],
  [
    "{ backends: [{ url: http://a }], healthCheck: {} }",
    "2:44 upstream.healthCheck.path: missing; expected a text",
  ],
  ["http://${BACKEN}:9", "2:11 upstream: the environment variable BACKEN is not set; …"],
];

/** What a user writes in sluice.yaml, from line 2 on, and the whole answer. */
const IN_THE_SERVER: readonly (readonly [text: string, answer: string])[] = [
  ["trustedProxies: 10.0.0.0/8", "2:17 trustedProxies: expected a list; did you mean [10.0.0.0/8]?"],
  [
    "trustedProxies: [nginx.internal]",
    "2:18 trustedProxies[0]: expected an address or a CIDR range such as 10.0.0.0/8",
  ],
  ["log: debug", "2:6 log: …; did you mean { level: debug }?"],
  ["log: { level: warning }", "2:15 log.level: …; did you mean warn?"],
  ["limits: { maxConnections: 100 }", "2:11 limits.maxConnections: unknown key; did you mean connections?"],
  ["limits: { connections: many }", "2:24 limits.connections: expected a count, auto or off"],
  ["drain: { timeout: 0 }", "2:19 drain.timeout: …; did you mean 0s?"],
  ["workers: -1", "2:10 workers: expected at least 1"],
  [
    "redis: { url: http://127.0.0.1:6379 }",
    "2:15 redis.url: expected a URL such as redis://127.0.0.1:6379 …",
  ],
  ["ssl_certificate: a.pem", "2:1 ssl_certificate: unknown key; that is listen.tls.cert, in sluice.yaml"],
];

/** What a user writes as the path of a route, and the whole answer. */
const AS_MATCH: readonly (readonly [text: string, answer: string])[] = [
  ["{ path: '/a?x=1' }", "1:16 match.path: …; a path has no query; did you mean /a?"],
  ["{ path: /a, method: GET }", "1:20 match.method: unknown key; did you mean methods?"],
  ["{ path: /a, methods: [get] }", "1:30 match.methods[0]: expected GET; methods are compared with case"],
  ["/a", "1:8 match: …; did you mean { path: /a }?"],
];

const FILES: readonly (readonly [files: Readonly<Record<string, string>>, answer: string])[] = [
  ...IN_A_ROUTE.map(
    ([text, answer]) => [{ "routes/a.yaml": `${ROUTE}${text}\n` }, `routes/a.yaml:${answer}`] as const,
  ),
  ...AS_UPSTREAM.map(
    ([text, answer]) =>
      [{ "routes/a.yaml": `${MATCH}upstream: ${text}\n` }, `routes/a.yaml:${answer}`] as const,
  ),
  ...AS_MATCH.map(
    ([text, answer]) =>
      [{ "routes/a.yaml": `match: ${text}\nupstream: http://a\n` }, `routes/a.yaml:${answer}`] as const,
  ),
  ...IN_THE_SERVER.map(
    ([text, answer]) =>
      [{ "sluice.yaml": `${LISTEN}${text}\n`, "routes/a.yaml": ROUTE }, `sluice.yaml:${answer}`] as const,
  ),
  [{ "routes/a.yaml": "" }, "routes/a.yaml: the file is empty; expected at least match.path and upstream"],
  [{ "routes/a.yaml": "- match: { path: /a }\n" }, "routes/a.yaml:1:1: expected an object with match, …"],
  [{ "routes/a.yaml": ROUTE, "sluice.yml": LISTEN }, "sluice.yml: unknown file; did you mean sluice.yaml?"],
  [{ "routes/a.yaml": ROUTE, "routes/b.yaml": ROUTE }, "routes/b.yaml:1:16 match.path: the same match as …"],
  [{ "routes/a.yaml": ROUTE, "apps.yaml": "- key: k\n" }, "apps.yaml:1:1: expected an object"],
];

/** Reads files as from a directory named `c`. */
const problemsOf = (files: Readonly<Record<string, string>>): string[] => {
  const isInRoutes = (name: string) => name.startsWith("routes/");
  const loaded = loadConfig(
    "c",
    {},
    {
      isOnDisk: true,
      names: (directory) =>
        directory === "c"
          ? ["routes", ...Object.keys(files).filter((name) => !isInRoutes(name))]
          : Object.keys(files)
              .filter(isInRoutes)
              .map((name) => name.slice("routes/".length)),
      read: (path) => ({ text: files[path.slice("c/".length)] ?? "" }),
    },
  );
  return "problems" in loaded ? loaded.problems.map(formatProblem) : [];
};

/** Whether a text is as expected, where `…` stands for any text. */
function isLike(text: string, expected: string): boolean {
  const parts = expected.split("…");
  let at = 0;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found < 0 || (at === 0 && found > 0)) return false;
    at = found + part.length;
  }
  return expected.endsWith("…") || at === text.length;
}

test.each(FILES)("a mistake is answered with its place and the remedy: %j", (files, answer) => {
  const problems = problemsOf(files);
  expect(
    problems.filter((problem) => isLike(problem, `c/${answer}`)),
    problems.join("\n"),
  ).toHaveLength(1);
});
