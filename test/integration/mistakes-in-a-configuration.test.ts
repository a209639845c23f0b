import { chmodSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { attempt } from "../support/command.ts";
import { runSluice as sluice } from "../support/command-line.ts";
import { directoryOf, ROOT } from "../support/sluice-process.ts";

/** A valid route, and more lines. */
const route = (more = "") => `match: { path: /x }\nupstream: http://127.0.0.1:1\n${more}`;
const to = (upstream: string) => `match: { path: /x }\nupstream: ${upstream}\n`;
const at = (path: string) => `match: { path: '${path}' }\nupstream: http://127.0.0.1:1\n`;
const origin = (text: string) => route(`cors: { allowOrigins: [${text}] }\n`);

type Files = Readonly<Record<string, string>>;
const asRoute = (text: string): Files => ({ "config/routes/a.yaml": text });
const asServer = (text: string): Files => ({ "config/sluice.yaml": text, ...asRoute(route()) });

/** What a user writes, the place that is named, and the remedy at the end of the message. */
const MISTAKES: readonly (readonly [files: Files, place: string, remedy: string])[] = [
  [asRoute(to("localhost:8080")), "a.yaml:2:11 upstream", "did you mean http://localhost:8080?"],
  [asRoute(to("8080")), "a.yaml:2:11 upstream", "did you mean http://127.0.0.1:8080?"],
  [asRoute(to("/run/app.sock")), "a.yaml:2:11 upstream", "did you mean unix:/run/app.sock?"],
  [asRoute(to("wss://a.example")), "a.yaml:2:11 upstream", "did you mean https://a.example?"],
  [asRoute(to("http://$HOST:80")), "a.yaml:2:11 upstream", "did you mean http://${HOST}:80?"],
  [
    asRoute(to("[http://a, http://b]")),
    "upstream",
    "did you mean { backends: [{ url: http://a }, { url: http://b }] }?",
  ],
  [
    asRoute("match: { path: /x }\nupstream: { backends: [http://a] }\n"),
    "a.yaml:2:24 upstream.backends[0]: expected an object with url",
    "did you mean { url: http://a }?",
  ],
  [
    asRoute("match: { path: /x }\nupstream: { backends: [localhost:8080] }\n"),
    "upstream.backends[0]",
    "did you mean http://localhost:8080?",
  ],
  [asRoute(route("shared: true\n")), "a.yaml:3:9 shared: expected {} for the defaults", "did you mean {}?"],
  [asRoute(route("resume: false\n")), "a.yaml:3:9 resume", "did you mean off?"],
  [asRoute(route("auth: false\n")), "a.yaml:3:7 auth: expected an object with app", "did you mean off?"],
  [asRoute(at("/x/{id}")), "a.yaml:1:16 match.path", "a path has no parameters; did you mean /x/*?"],
  [asRoute(at("^/a")), "a.yaml:1:16 match.path", "a path is no regular expression; did you mean /a?"],
  [asRoute(at("~ ^/a$")), "a.yaml:1:16 match.path", "did you mean /a?"],
  [
    asRoute(at("/a/**")),
    "a.yaml:1:16 match.path",
    "* stands only at the end, as a segment; did you mean /a/*?",
  ],
  [asRoute(at("chat")), "a.yaml:1:16 match.path", "did you mean /chat?"],
  [
    asRoute("match: /chat\nupstream: http://127.0.0.1:1\n"),
    "a.yaml:1:8 match",
    "did you mean { path: /chat }?",
  ],
  [asRoute("match:\n  path:/x\nupstream: http://a\n"), "a.yaml:2:3 match", "a blank is missing after path:"],
  [
    asRoute("match: { path: /x, host: 'a.example:80' }\nupstream: http://a\n"),
    "match.host",
    "did you mean a.example?",
  ],
  [
    asRoute("match:\n  path: /x\n  host: *.example.com\nupstream: http://a\n"),
    "a.yaml:3:9",
    'for the text, quote it: "*.example.com"',
  ],
  [
    asRoute("match: { path: /x, host: .example.com }\nupstream: http://a\n"),
    "match.host",
    'did you mean [example.com, "*.example.com"]?',
  ],
  [asRoute("match: { path: /x, host: 'https://b' }\nupstream: http://a\n"), "match.host", "did you mean b?"],
  [
    asRoute("match: { path: /x, methods: GET }\nupstream: http://a\n"),
    "match.methods",
    "did you mean [GET]?",
  ],
  [asRoute("match: { path: /x }\n"), "a.yaml:1:1", "expected upstream or mock"],
  [asRoute(route("mock: { body: x }\n")), "a.yaml:1:1", "expected either upstream or mock, and not both"],
  [asRoute(route("cors:\n  allowOrigins: [*]\n")), "a.yaml:4:18", 'quote "*": a bare * begins a YAML alias'],
  [asRoute(origin("'https://a.example/'")), "cors.allowOrigins[0]", "did you mean https://a.example?"],
  [asRoute(origin("a.example")), "cors.allowOrigins[0]", "did you mean https://a.example?"],
  [asRoute(route("stream: { heartbeat: 15 }\n")), "stream.heartbeat", "did you mean 15s?"],
  [asRoute(route("stream: { idleTimeout: 5 min }\n")), "stream.idleTimeout", "did you mean 5m?"],
  [asRoute(route("websocket: yes\n")), "websocket", "did you mean true?"],
  [asRoute(route("limits: { rate: 10r/s }\n")), "limits.rate", "did you mean { requests: 10, per: 1s }?"],
  [asRoute(route("location: /x\n")), "a.yaml:3:1 location", "that is match.path"],
  [
    asRoute(route("proxy_buffering: off\n")),
    "proxy_buffering",
    "not needed: sluice never holds a stream back",
  ],
  [asServer("listen: :8000\n"), "sluice.yaml:1:9 listen", "did you mean 8000?"],
  [asServer("listen: http://0.0.0.0:8000\n"), "sluice.yaml:1:9 listen", "did you mean 0.0.0.0:8000?"],
  [asServer("listen: 80000\n"), "sluice.yaml:1:9 listen", "a port is at most 65535"],
  [
    asServer("listen: [8000, '0.0.0.0:8000']\n"),
    "listen[1]",
    "is an address of listen[0] too; expected another port",
  ],
  [asServer("listen: 9900\n"), "admin", "the admin listener needs a port of its own"],
  [
    asServer("listen: unix:/nowhere/s\n"),
    "sluice.yaml listen",
    "the directory /nowhere does not exist; create it",
  ],
  [
    asServer("trustedProxies: [10.0.0.5/8]\n"),
    "trustedProxies[0]",
    "did you mean 10.0.0.0/8, or 10.0.0.5 alone?",
  ],
  [asServer("admin: 0.0.0.0:9900\nadminToken: x\n"), "adminToken", "openssl rand -hex 32"],
  [asServer("server_name: a\n"), "server_name", "that is match.host, in the route's file"],
  [asServer("routes: []\n"), "routes", "each route is a file of its own in routes/"],
  [asServer("redis: localhost:6379\n"), "redis", "did you mean redis://localhost:6379?"],
  [asServer("limits: { headerBytes: 16KB }\n"), "limits.headerBytes", "did you mean 16k?"],
  [{ ...asRoute(route()), "config/routes/b.json": "{}" }, "routes/b.json", "not read; did you mean b.yaml?"],
  [{ ...asRoute(route()), "config/routes/b.yaml.txt": "" }, "b.yaml.txt", "not read; did you mean b.yaml?"],
  [
    { ...asRoute(route()), "config/routes/sub/b.yaml": "" },
    "routes/sub",
    "route files belong directly in ./config/routes/",
  ],
  [
    asRoute(route("auth: { jwt: { issuer: https://a, audience: b, jwks: /nowhere } }\n")),
    "auth.jwt.jwks",
    "cannot read /nowhere; expected a file with a JSON Web Key Set",
  ],
];

test.each(MISTAKES)("check names the place and the remedy: %j", async (files, place, remedy) => {
  const { code, stderr, stdout } = await sluice(["check"], { cwd: directoryOf(files) });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  const lines = stderr.trimEnd().split("\n");
  expect(
    lines.some((line) => line.includes(place) && line.endsWith(remedy)),
    stderr,
  ).toBe(true);
});

test("a wrong value that came from a variable is reported with the variable, and never shown", async () => {
  const cwd = directoryOf(asRoute(to("${BACKEND}")));
  const check = async (BACKEND: string) =>
    (await sluice(["check"], { cwd, env: { BACKEND } })).stderr.trimEnd();
  expect(await check("")).toMatch(/; the environment variable BACKEND is empty$/);
  expect(await check("s3cret")).toMatch(/; the value is that of the environment variable BACKEND$/);
});

/** Runs check as a user without rights. */
const asNobody = (cwd: string) =>
  attempt(
    "setpriv",
    [
      "--reuid=65534",
      "--regid=65534",
      "--clear-groups",
      process.execPath,
      join(ROOT, "dist/cli/main.js"),
      "check",
    ],
    { cwd },
  );

test.runIf(process.getuid?.() === 0)(
  "as a user without rights: the port and the directory are named",
  async () => {
    const low = directoryOf(asServer("listen: 80\nadmin: false\n"));
    const closed = directoryOf(asRoute(route()));
    for (const directory of [low, closed]) chmodSync(directory, 0o755);
    chmodSync(join(closed, "config/routes"), 0);
    expect((await asNobody(low)).output).toContain("CAP_NET_BIND_SERVICE");
    expect((await asNobody(closed)).output).toContain("./config/routes: permission denied");
  },
);
