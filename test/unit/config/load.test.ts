import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";

const GOOD = "match: { path: /good }\nupstream: http://127.0.0.1:1\n";

/** A configuration directory of these files, gone when the test ends. */
function directoryOf(files: Readonly<Record<string, string | Buffer>>): string {
  const root = mkdtempSync(join(tmpdir(), "sluice-config-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

/** The problems as printed, without the temporary directory's name. */
function problemsIn(root: string, env: Readonly<Record<string, string>> = {}): string[] {
  const loaded = loadConfig(root, env);
  return "problems" in loaded
    ? loaded.problems.map((problem) => formatProblem(problem).replaceAll(root, "config"))
    : [];
}
const problemsOf = (files: Readonly<Record<string, string | Buffer>>, env = {}): string[] =>
  problemsIn(directoryOf(files), env);
/** The problems of one route file, without its name. */
const routeProblems = (text: string): string[] =>
  problemsOf({ "routes/r.yaml": text }).map((problem) => problem.replace("config/routes/r.yaml:", ""));
/** A valid route with more lines, which start at line 3. */
const withLines = (lines: string): string[] => routeProblems(GOOD + lines);

describe("a good directory", () => {
  test("becomes a configuration, every default filled in, routes by name", () => {
    const loaded = loadConfig(
      directoryOf({
        "sluice.yaml": "listen: [127.0.0.1:${PORT}, unix:/run/s]\nlimits: { headers: ${HEADERS:-50} }\n"
          .replace("{ headers: ${HEADERS:-50} }", "\n  headers: ${HEADERS:-50}")
          .replace("[127.0.0.1:${PORT}, unix:/run/s]", '["127.0.0.1:${PORT}", unix:/run/s]'),
        "routes/b.yml": GOOD,
        "routes/a.yaml": "match: { path: /a }\nupstream: ${BACKEND}\nwebsocket: ${WS:-true}\n",
        "README.md": "not ours",
        "routes/a.yaml.bak": "not: [ours",
        "routes/.hidden.yaml": "not: [ours",
      }),
      { PORT: "0", BACKEND: "http://backend:8080" },
    );
    expect(loaded).toMatchObject({
      config: {
        server: {
          listen: [{ address: { host: "127.0.0.1", port: 0 } }, { address: { path: "/run/s" } }],
          limits: { headers: 50, requestTimeout: 60_000 },
        },
        routes: [
          { name: "a", websocket: true, upstream: { backends: [{ url: { host: "backend", port: 8080 } }] } },
          { name: "b", stream: { heartbeat: { every: 15_000 }, clientBuffer: 262_144 } },
        ],
      },
    });
  });

  test.each([{}, { "sluice.yaml": "" }, { "sluice.yaml": "# all defaults\n" }])(
    "sluice.yaml is optional: %j",
    (more) => {
      const loaded = loadConfig(directoryOf({ "routes/r.yaml": GOOD, ...more }), {});
      expect(loaded).toMatchObject({ config: { server: { listen: [{ address: { port: 8000 } }] } } });
    },
  );

  test("a route file may be a symbolic link, as a mounted secret is", () => {
    const root = directoryOf({ "real/r.yaml": GOOD, "routes/x.txt": "" });
    symlinkSync("../real/r.yaml", join(root, "routes", "r.yaml"));
    expect(problemsIn(root)).toEqual([]);
  });

  test("websocket: true and upgrade: [websocket] are the same", () => {
    const upgrades = (lines: string) => {
      const loaded = loadConfig(directoryOf({ "routes/r.yaml": `${GOOD}${lines}\n` }), {});
      if (!("config" in loaded)) throw new Error("did not load");
      return loaded.config.routes.map(({ websocket, upgrade }) => ({ websocket, upgrade }));
    };
    expect(upgrades("")).toEqual([{ websocket: false, upgrade: [] }]);
    expect(upgrades("websocket: true")).toEqual([{ websocket: true, upgrade: ["websocket"] }]);
    expect(upgrades("upgrade: [WebSocket, tcp]")).toEqual([
      { websocket: true, upgrade: ["websocket", "tcp"] },
    ]);
  });

  test("the samples are accepted unchanged", () => {
    expect(problemsIn(new URL("../../../config", import.meta.url).pathname)).toEqual([]);
  });
});

test("every problem of every file is reported at once, in the order of files and lines", () => {
  expect(
    problemsOf({
      "sluice.yaml": "log: { level: wrn }\nlimits:\n  headers: 0\n",
      "routes/chat.yaml":
        "match: { path: /a }\nupstream: http://a\nstream:\n  heartbeat: 15\n  hartbeat: 1s\n",
      "routes/broken.yaml": "match: [",
      "routes/none.yaml": "match:\n  path: ${NONE}\n",
    }),
  ).toEqual([
    "config/routes/broken.yaml:1:9: invalid YAML: flow sequence in block collection must be sufficiently indented and end with a ]",
    "config/routes/chat.yaml:4:14 stream.heartbeat: expected a duration such as 15s, off, or an object with every and event; did you mean 15s?",
    "config/routes/chat.yaml:5:3 stream.hartbeat: unknown key; did you mean heartbeat?",
    "config/routes/none.yaml:1:1: expected upstream or mock",
    "config/routes/none.yaml:2:9 match.path: the environment variable NONE is not set; ${NONE:-default} would give it a default",
    "config/sluice.yaml:1:15 log.level: expected debug, info, warn, error or silent; did you mean warn?",
    "config/sluice.yaml:3:12 limits.headers: expected at least 1",
  ]);
});

describe("the problem of a wrong value says what is expected", () => {
  const URL_OR_OBJECT = "expected a URL such as http://127.0.0.1:8080, or an object with backends";

  test.each([
    [
      "match: { path: /a }\nupstream: 5",
      [`2:11 upstream: ${URL_OR_OBJECT}; did you mean http://127.0.0.1:5?`],
    ],
    ["match: { path: /a }", ["1:1: expected upstream or mock"]],
    [
      "match: { path: /a }\nupstream: { backend: x }",
      ["2:13 upstream.backend: unknown key; did you mean backends?"],
    ],
    [
      "match: { path: /a }\nupstream: { backends: [{ url: x }], connectTimeout: 5 }",
      [
        "2:31 upstream.backends[0].url: expected a URL such as http://127.0.0.1:8080, https://host or unix:/run/app.sock; did you mean http://x?",
        "2:53 upstream.connectTimeout: expected a duration such as 15s; did you mean 5s?",
      ],
    ],
    [
      "match: { path: /a }\nupstream: http://a/b",
      ["2:11 upstream: expected no path or query; a path prefix belongs in rewrite.addPrefix"],
    ],
    [
      "match: /a\nupstream: http://a",
      ["1:8 match: expected an object with path, host, methods, header, query; did you mean { path: /a }?"],
    ],
    [
      "upstream: http://a",
      ["1:1 match: missing; expected an object with path, host, methods, header, query"],
    ],
    [
      "match: { path: a }\nupstream: http://a",
      [
        "1:16 match.path: expected a path such as /stream, or /chat/* for everything below it; did you mean /a?",
      ],
    ],
    [
      "[]",
      [
        "1:1: expected an object with match, upstream, mock, rewrite, headers, stream, shared, resume, llm, cors, auth, access, limits, stages, variables, debug, websocket, upgrade",
      ],
    ],
    [
      "match: { path: /a }\nupstream: http://a\nupgrade: tcp",
      ["3:10 upgrade: expected a list of protocols such as [websocket, tcp]"],
    ],
    [
      "match: { path: /a }\nupstream: http://a\nupgrade: [SPDY/3/1]",
      ["3:11 upgrade[0]: expected a protocol such as websocket, tcp or SPDY/3.1"],
    ],
    [
      "match: { path: /a/* }\nupstream: http://a\nupgrade: [tcp, H2C]",
      [
        "3:10 upgrade: expected h2c only on a route for /*: in the tunnel a client can ask for any path of the backend",
      ],
    ],
    ["", [" the file is empty; expected at least match.path and upstream"]],
  ])("%j", (text, problems) => {
    expect(routeProblems(text)).toEqual(problems);
  });

  test.each([
    ["cors: { allowOrigin: x }", "3:9 cors.allowOrigin: unknown key; did you mean allowOrigins?"],
    ["cors: x", "3:7 cors: expected true, or an object with allowOrigins"],
    ["cors: {}", "3:1 cors.allowOrigins: missing; expected a list"],
    ["cors: { allowOrigins: [] }", "3:23 cors.allowOrigins: expected at least one origin"],
    [
      "cors: { allowOrigins: ['*'], allowCredentials: true }",
      "3:23 cors.allowOrigins: expected no * together with allowCredentials",
    ],
    [
      "stream: { heartbeat: 5 }",
      "3:22 stream.heartbeat: expected a duration such as 15s, off, or an object with every and event; did you mean 5s?",
    ],
    [
      "stream: { heartbeat: { event: ping } }",
      "3:11 stream.heartbeat.every: missing; expected a duration such as 15s",
    ],
    [
      'stream: { heartbeat: { every: 1s, event: "a\\nb" } }',
      "3:42 stream.heartbeat.event: expected an event type such as ping: visible ASCII, at most 64 of them",
    ],
    ["stream: { comments: no }", "3:21 stream.comments: expected auto, on or off"],
    [
      "stream: { heartbeat: 50d }",
      "3:22 stream.heartbeat: expected a duration from 1ms to 24d; did you mean 50d?",
    ],
    [
      "stream: { heartbeat: -1s }",
      "3:22 stream.heartbeat: expected a duration such as 15s, off, or an object with every and event",
    ],
    ["stream: { retry: 5 }", "3:18 stream.retry: expected a duration such as 3s, or null; did you mean 5s?"],
    ["stream: { padding: -1 }", "3:20 stream.padding: expected a size such as 64k"],
    ["stream: { clientBuffer: 1q }", "3:25 stream.clientBuffer: expected a size such as 64k"],
    [
      "stream: { onClientGone: cancl }",
      "3:25 stream.onClientGone: expected cancel or drain; did you mean cancel?",
    ],
    ["stream: { prelude: yes }", "3:20 stream.prelude: expected true or false; did you mean true?"],
    ["heartbeat: 5s", "3:1 heartbeat: unknown key; did you mean stream.heartbeat?"],
    ["auth: {}", "3:7 auth: expected at least one of app, appCode, jwt"],
    ["headers: { request: { set: { X-A: 5 } } }", "3:35 headers.request.set.X-A: expected a text"],
    [
      "headers: { request: { set: { 'X A': b } } }",
      "3:30 headers.request.set.X A: expected a name of letters, digits and -, without spaces (RFC 9110 token)",
    ],
    [
      'headers: { request: { set: { X-A: "a\\nb" } } }',
      "3:35 headers.request.set.X-A: expected a field value without line breaks or control characters",
    ],
  ])("%s", (line, problem) => {
    expect(withLines(line)).toEqual([problem]);
  });

  test("the problem of a key with nothing below it names the known keys", () => {
    expect(withLines("stream:")[0]).toMatch(
      /^3:1 stream: expected an object with heartbeat, comments, prelude, /,
    );
  });

  test.each([["listen: 70000"], ["listen: localhost"], ["listen: [8000, x]"]])("sluice.yaml: %s", (text) => {
    const [problem] = problemsOf({ "sluice.yaml": text, "routes/r.yaml": GOOD });
    expect(problem).toContain("expected a port, host:port such as 127.0.0.1:8000, or unix:/path");
  });

  test("no message has the validator's own wording", () => {
    const wrong = [5, "x", true, "[]", "{}", "[5]", "{ x: 1 }", "null", "{ a: { b: [1] } }"];
    const keys = ["match", "upstream", "rewrite", "headers", "stream", "cors", "websocket", "upgrade"];
    for (const key of keys) {
      for (const value of wrong) {
        const lines = ["match: { path: /a }", "upstream: http://a"].filter((line) => !line.startsWith(key));
        const problems = routeProblems([...lines, `${key}: ${value}`].join("\n"));
        expect(problems.join("\n")).not.toMatch(
          /invalid|received|undefined|too (?:small|big)|NaN|record|union/i,
        );
      }
    }
  });
});

describe("routes that could never match", () => {
  test.each(["/a/../b", "/a/%2e%2e/b", "/./a", "/a/..;x/b", "/a%2f..%2fb", "/..", "/../*"])(
    "%s: a dot segment",
    (path) => {
      expect(routeProblems(`match:\n  path: ${path}\nupstream: http://a`)).toEqual([
        "2:9 match.path: expected a path without a dot segment: such requests are refused",
      ]);
    },
  );

  test.each([
    ["/a%5cb", "expected a path without a backslash: such requests are refused"],
    ["/a%00", "expected a path without a NUL: such requests are refused"],
    ["/a%zz", "expected a path such as /stream, or /chat/* for everything below it"],
    ["/a\\b", "expected a path such as /stream, or /chat/* for everything below it"],
    [
      "/a?b",
      "expected a path such as /stream, or /chat/* for everything below it; a path has no query; did you mean /a?",
    ],
    [
      "/a*",
      "expected a path such as /stream, or /chat/* for everything below it; * stands only at the end, as a segment; did you mean /a/*?",
    ],
  ])("%s", (path, message) => {
    expect(routeProblems(`match:\n  path: ${path}\nupstream: http://a`)).toContain(
      `2:9 match.path: ${message}`,
    );
  });

  test.each([
    ["get", "expected GET; methods are compared with case"],
    ["TRACE", "expected a method that can be routed, such as GET"],
    ["CONNECT", "expected a method that can be routed, such as GET"],
    ["PSOT", "expected a method that can be routed, such as GET; did you mean POST?"],
  ])("the method %s", (method, message) => {
    expect(routeProblems(`match: { path: /a, methods: [${method}] }\nupstream: http://a`)).toEqual([
      `1:30 match.methods[0]: ${message}`,
    ]);
  });

  test("two files with the same match name each other", () => {
    expect(
      problemsOf({
        "routes/a.yaml": "match: { path: /x, methods: [GET] }\nupstream: http://a",
        "routes/b.yaml": "match:\n  path: /%78\n  methods: [HEAD, POST]\nupstream: http://a",
        "routes/c.yaml": "match: { path: /x }\nupstream: http://a",
      }),
    ).toEqual([
      "config/routes/b.yaml:2:9 match.path: the same match, for HEAD, as config/routes/a.yaml:1:16; one of the two is never reached",
    ]);
  });
});

describe("the cookie of sticky", () => {
  const routeOf = (path: string, host: string, ports: readonly number[], cookie: string) =>
    [
      `match: { path: ${path}${host === "" ? "" : `, host: ${host}`} }`,
      "upstream:",
      `  backends: [${ports.map((port) => `{ url: http://10.0.0.1:${port} }`).join(", ")}]`,
      `  sticky: { cookie: ${cookie} }`,
    ].join("\n");

  test("of two routes with different backends is refused, because each would replace the other's", () => {
    const a = routeOf("/a", "", [1, 2], "home");
    expect(problemsOf({ "routes/a.yaml": a, "routes/b.yaml": routeOf("/b", "", [1, 2, 3], "home") })).toEqual(
      [
        "config/routes/b.yaml:4:21 upstream.sticky.cookie: the same cookie as config/routes/a.yaml:4:21 for other backends: each route would replace the other's; expected another name",
      ],
    );
    expect(
      problemsOf({ "routes/a.yaml": a, "routes/b.yaml": routeOf("/b", "b.test", [3], "home") }),
    ).toHaveLength(1);
    const secret = routeOf("/b", "", [1, 2], "{ name: home, secret: s }");
    expect(problemsOf({ "routes/a.yaml": a, "routes/b.yaml": secret })).toHaveLength(1);
  });

  test("may be the same for the same backends, and on different hosts", () => {
    const same = routeOf("/b", "", [2, 1], "home");
    expect(problemsOf({ "routes/a.yaml": routeOf("/a", "", [1, 2], "home"), "routes/b.yaml": same })).toEqual(
      [],
    );
    const here = routeOf("/a", "a.test", [1], "home");
    const there = routeOf("/a", "b.test", [2], "home");
    expect(problemsOf({ "routes/a.yaml": here, "routes/b.yaml": there })).toEqual([]);
  });
});

describe("h2c", () => {
  const ADMIN = "match: { path: /admin/* }\nupstream: http://a\n";
  const GUARD = "access: { allow: [10.0.0.0/8] }\n";
  const OPEN = "match: { path: /* }\nupgrade: [h2c]\n";
  const problemsBeside = (all: string, admin = ADMIN + GUARD) =>
    problemsOf({ "routes/admin.yaml": admin, "routes/all.yaml": all });

  test("is refused if its tunnel reaches the backend of a route with other access lists", () => {
    expect(problemsBeside(`${OPEN}upstream: http://a:80`)).toEqual([
      "config/routes/all.yaml:2:10 upgrade: expected no h2c: in the tunnel a client reaches the backend of the route admin without its auth and access",
    ]);
  });

  test("is accepted with the same access lists, with another backend, and beside an open route", () => {
    expect(problemsBeside(`${OPEN}upstream: http://a\n${GUARD}`)).toEqual([]);
    expect(problemsBeside(`${OPEN}upstream: http://b`)).toEqual([]);
    expect(problemsBeside(`${OPEN}upstream: http://a`, ADMIN)).toEqual([]);
  });
});

describe("files", () => {
  test.each([
    ["sluice.yml", "unknown file; did you mean sluice.yaml?"],
    ["slucie.yaml", "unknown file; did you mean sluice.yaml?"],
  ])("%s beside sluice.yaml is a problem", (name, message) => {
    expect(problemsOf({ "routes/r.yaml": GOOD, [name]: "" })).toEqual([`config/${name}: ${message}`]);
  });

  test("no directory, no routes", () => {
    expect(problemsIn(join(directoryOf({}), "nowhere"))[0]).toBe("config: does not exist");
    expect(problemsOf({ "sluice.yaml": "" })).toEqual([
      "config/routes: does not exist; expected at least one route file such as stream.yaml in it",
    ]);
    expect(problemsOf({ "routes/README": "" })).toEqual([
      "config/routes: empty; expected at least one route file such as stream.yaml in it",
    ]);
    const root = directoryOf({ file: "" });
    expect(problemsIn(join(root, "file"))).toEqual(["config: expected a directory"]);
  });

  test("names: a duplicate, and one with characters that a log cannot show", () => {
    expect(
      problemsOf({
        "routes/a.yaml": GOOD,
        "routes/a.yml": GOOD.replace("good", "b"),
        "routes/b c.yaml": GOOD,
      }),
    ).toEqual([
      "config/routes/a.yml: the same route name as config/routes/a.yaml",
      "config/routes/b c.yaml: expected a file name of at most 64 letters, digits, - and _, because it is the route's name",
      expect.stringContaining("config/routes/b c.yaml:1:16 match.path: the same match"),
    ]);
  });

  test("a directory, a FIFO, a loop of links and a too large file are problems, and nothing hangs", () => {
    const root = directoryOf({
      "routes/big.yaml": `#${"x".repeat(4 * 1024 * 1024)}`,
      "routes/dir.yaml/x": "",
      "routes/latin1.yaml": Buffer.from("# caf\xe9", "latin1"),
      "routes/nul.yaml": "match: \0",
    });
    execFileSync("mkfifo", [join(root, "routes/fifo.yaml")]);
    symlinkSync("loop.yaml", join(root, "routes/loop.yaml"));
    symlinkSync("nowhere", join(root, "routes/gone.yaml"));
    expect(problemsIn(root)).toEqual([
      "config/routes/big.yaml: expected at most 4 MiB",
      "config/routes/dir.yaml: expected a file, but it is a directory",
      "config/routes/fifo.yaml: expected a regular file",
      "config/routes/gone.yaml: does not exist",
      "config/routes/latin1.yaml:1:6: expected UTF-8",
      "config/routes/loop.yaml: too many levels of symbolic links",
      "config/routes/nul.yaml:1:8: expected no NUL",
    ]);
  });

  test("a file without read permission is a problem", () => {
    const root = directoryOf({ "sluice.yaml": "", "routes/r.yaml": GOOD });
    chmodSync(root, 0o755);
    chmodSync(join(root, "sluice.yaml"), 0);
    chmodSync(join(root, "routes"), 0);
    // Root may read everything, so the process changes its user while it reads.
    const isRoot = process.getuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      expect(problemsIn(root)).toEqual([
        expect.stringMatching(/^config\/routes: permission denied/),
        "config/sluice.yaml: permission denied",
      ]);
    } finally {
      if (isRoot) process.seteuid?.(0);
      chmodSync(join(root, "routes"), 0o755);
    }
  });

  test("the directory is named as the user named it", () => {
    const loaded = loadConfig("./config/nowhere//", {});
    expect(loaded).toMatchObject({ problems: [{ file: "./config/nowhere" }] });
  });

  test("nothing in a file pollutes a prototype", () => {
    const problems = withLines(
      "__proto__: { isAdmin: true }\nheaders: { request: { set: { __proto__: x } } }",
    );
    expect(problems).toEqual([
      "3:1 __proto__: unknown key",
      "4:30 headers.request.set.__proto__: unknown key",
    ]);
    expect("isAdmin" in {}).toBe(false);
  });
});

describe("workers", () => {
  const files = (server: string) => ({
    "sluice.yaml": server,
    "routes/own.yaml": GOOD,
    "routes/news.yaml": "match: { path: /news }\nupstream: http://127.0.0.1:1\nshared: {}\n",
  });

  test.each(["workers: 2", "workers: auto"])("%s is refused for shared streams without redis", (line) => {
    expect(problemsOf(files(`${line}\n`))).toEqual([
      `config/routes/news.yaml:3:1 shared: ${line} can share a stream only through redis; set redis in sluice.yaml, or workers: 1`,
    ]);
    expect(problemsOf(files(`${line}\nredis: redis://127.0.0.1\n`))).toEqual([]);
  });

  test("several workers are refused for named answers without redis", () => {
    const route = 'match: { path: /news }\nupstream: http://127.0.0.1:1\nresume: { by: ["header:X-User"] }\n';
    expect(problemsOf({ ...files("workers: 2\n"), "routes/news.yaml": route })).toEqual([
      "config/routes/news.yaml:3:1 resume: workers: 2 can keep an answer for each other only through redis; set redis in sluice.yaml, or workers: 1",
    ]);
  });

  test("one worker shares streams without redis", () => {
    expect(problemsOf(files("workers: 1\n"))).toEqual([]);
    expect(problemsOf(files("{}"))).toEqual([]);
  });

  test("a variable may contain a count or auto", () => {
    for (const value of ["2", "auto"]) {
      const files = { "sluice.yaml": "workers: ${WORKERS}\n", "routes/own.yaml": GOOD };
      const loaded = loadConfig(directoryOf(files), { WORKERS: value });
      expect(loaded).toMatchObject({ config: { server: { workers: value === "2" ? 2 : "auto" } } });
    }
  });

  test.each(["0", "257", "1.5", "all"])("workers: %s is refused", (value) => {
    const problems = problemsOf({ "sluice.yaml": `workers: ${value}\n`, "routes/own.yaml": GOOD });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^config\/sluice\.yaml:1:10 workers: /);
  });
});
