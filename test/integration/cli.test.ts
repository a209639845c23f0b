import { existsSync, readdirSync, readFileSync } from "node:fs";
import http, { type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { runSluice as sluice } from "../support/command-line.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, ROOT, START_MS, startSluice as start } from "../support/sluice-process.ts";

/** A backend with its port; closed when the test ends. */
async function startBackend(answer: RequestListener): Promise<number> {
  const server = http.createServer(answer);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const START = { timeoutMs: START_MS };
/** Runs a command in a process of its own, for behaviour that only the end of a process shows. */
const ended = (args: readonly string[], cwd = ROOT) => start(args, { cwd }).ended;

const ROUTE = "match: { path: /x }\nupstream: http://127.0.0.1:1\n";

describe("help and version", () => {
  test.each([
    ["sluice", ["--help"]],
    ["serve", ["serve", "--help"]],
    ["sign", ["sign", "--help"]],
    ["check", ["check", "--help"]],
    ["demo", ["demo", "--help"]],
    ["init", ["init", "--help"]],
    ["health", ["help", "health"]],
    ["completion", ["completion", "--help"]],
    ["probe", ["probe", "--help"]],
    ["schema", ["schema", "-h"]],
    ["nginx", ["nginx", "--help"]],
    ["nginx-generate", ["nginx", "generate", "--help"]],
    ["nginx-import", ["nginx", "import", "--help"]],
    ["nginx-lint", ["nginx", "lint", "--help"]],
  ])("of %s", async (name, args) => {
    const { code, stdout, stderr } = await sluice(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    await expect(stdout).toMatchFileSnapshot(`help/${name}.txt`);
  });

  test("every line of help fits a terminal", () => {
    for (const file of readdirSync(new URL("help", import.meta.url))) {
      const text = readFileSync(new URL(`help/${file}`, import.meta.url), "utf8");
      expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
    }
  });

  test("--version prints the package's version, for every command", async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    for (const args of [
      ["--version"],
      ["serve", "--version"],
      ["check", "--config", "nowhere", "--version"],
    ]) {
      expect(await ended(args)).toEqual({ code: 0, stdout: `sluice ${version}\n`, stderr: "" });
    }
  });

  test("without a command: the help, on standard error", async () => {
    const { code, stdout, stderr } = await ended([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("Usage: sluice COMMAND");
  });
});

describe("a wrong command line ends with 2 and one line on standard error", () => {
  test.each([
    [["serv"], "unknown command serv; did you mean serve?"],
    [["prob", "x"], "unknown command prob; did you mean probe?"],
    [["toString"], "unknown command toString"],
    [["nginx", "lnit"], "unknown command nginx lnit; did you mean lint?"],
    [["--hlep"], "unknown flag --hlep; did you mean --help?"],
    [["serve", "--lisen", "1"], "unknown flag --lisen; did you mean --listen?"],
    [["serve", "-l", "1"], "unknown flag -l"],
    [["check", "--to", "http://a"], "unknown flag --to"],
    [["serve", "--to"], "--to needs a value"],
    [["serve", "--to", "--listen", "0"], "--to needs a value"],
    [["serve", "--config="], "--config needs a value"],
    [["serve", "--help=yes"], "--help takes no value"],
    [["check", "--config", "a", "--config", "b"], "--config is given twice"],
    [["check", "config"], "unexpected argument config"],
    [["serve", "--to", "http://a", "--config", "b"], "--config and --to exclude each other"],
    [["serve", "--listen", "8000"], "--listen needs --to; without --to set listen in sluice.yaml"],
    [["serve", "--trust", "::1"], "--trust needs --to; without --to set trustedProxies in sluice.yaml"],
    [["serve", "--admin", "1"], "--admin needs --to; without --to set admin in sluice.yaml"],
    [["serve", "--cors", "*"], "--cors needs --to; without --to set cors in the route's file"],
    [["schema", "rout"], "unknown schema rout; expected route or server or apps; did you mean route?"],
    [["demo", "8000"], "unexpected argument 8000"],
    [["probe"], "probe needs a URL"],
    [["probe", "x"], 'expected a URL such as https://host/stream, without a user, not "x"'],
    [
      ["probe", "http://a", "--hop", "b"],
      "expected --hop NAME=URL such as backend=http://127.0.0.1:8080/stream, not b",
    ],
    [
      ["probe", "http://a", "--hop", "url=http://b"],
      "two hops have the name url; the name of the URL itself is url",
    ],
    [["probe", "http://a", "--for", "2h"], '--for: expected a time from 1ms to 1h such as 20s, not "2h"'],
    [["probe", "http://a", "--format", "xml"], '--format: expected text, json, not "xml"'],
    [["probe", "http://a", "-H", "x"], `expected a header such as 'X-Name: value', not "x"`],
    [["probe", "http://a", "-x", "1"], "unknown flag -x"],
  ])("%j", async (args, message) => {
    const isCommand = !/^unknown command \w+(;|$)|--hlep/.test(message);
    const help = ["sluice", ...(isCommand ? args.slice(0, 1) : []), "--help"].join(" ");
    const stderr = `sluice: ${message}\nTry ${help}.\n`;
    expect(await sluice(args)).toEqual({ code: 2, stdout: "", stderr });
  });

  test("so does its process", async () => {
    const stderr = "sluice: unknown command serv; did you mean serve?\nTry sluice --help.\n";
    expect(await ended(["serv"])).toEqual({ code: 2, stdout: "", stderr });
  });
});

describe("check", () => {
  test("prints the routes in matching order, aligned", async () => {
    const root = directoryOf({
      "routes/all.yaml": "match: { path: /* }\nupstream: unix:/run/app.sock\n",
      "routes/api-get.yaml": "match: { path: /api/*, methods: [GET, POST] }\nupstream: http://a:1\n",
      "routes/host.yaml": "match: { path: /*, host: H.example }\nupstream: https://b\n",
      "routes/x.yaml": ROUTE,
    });
    expect(await sluice(["check", "--config", root])).toEqual({
      code: 0,
      stderr: "",
      stdout: [
        "ROUTE    HOST       PATH    METHODS   UPSTREAM",
        "host     h.example  /*      any       https://b",
        "x        any        /x      any       http://127.0.0.1:1",
        "api-get  any        /api/*  GET,POST  http://a:1",
        "all      any        /*      any       unix:/run/app.sock",
        "",
      ].join("\n"),
    });
  });

  test("shows hosts, conditions and defaults, and warns if a condition decides over credentials", async () => {
    const api = (match: string, more = "") => `match: { path: /api/*, ${match} }\n${more}`;
    const root = directoryOf({
      "sluice.yaml": "defaults: { upstream: http://a:1 }\n",
      "routes/v1.yaml": 'match: { path: /api/*, host: [a.example, "*.b.example"] }\n',
      "routes/v2.yaml": api(
        'host: a.example, header: { X-V: 2 }, query: { beta: "1" }',
        "access: { allow: [10.0.0.0/8] }\n",
      ),
    });
    expect(await sluice(["check", "--config", root])).toEqual({
      code: 0,
      stderr: `${root}/routes/v2.yaml match: warning: a client that adds or omits X-V: 2 and ?beta=1 avoids the auth and access of this route: the route v1 has none; match.header and match.query choose a version and protect nothing\n`,
      stdout: [
        "ROUTE  HOST                   PATH                  METHODS  UPSTREAM",
        "v2     a.example              /api/* X-V=2 ?beta=1  any      http://a:1",
        "v1     a.example,*.b.example  /api/*                any      http://a:1",
        "",
      ].join("\n"),
    });
  });

  test("accepts the samples unchanged, in the default directory", async () => {
    const { code, stdout, stderr } = await sluice(["check"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^ROUTE .*\nstream +any +\/stream +GET +http:\/\/127\.0\.0\.1:8080\n/);
  });
});

describe("a configuration problem ends serve and check with 2 and its place", () => {
  const cases: [what: string, files: Readonly<Record<string, string>>, stderr: string][] = [
    ["no directory", {}, "config: does not exist\n"],
    [
      "bad YAML",
      { "config/routes/r.yaml": `${ROUTE}cors:\n\ttrue\n` },
      "config/routes/r.yaml:4:1: invalid YAML: tabs are not allowed as indentation\n",
    ],
    [
      "a wrong type",
      { "config/routes/r.yaml": `${ROUTE}websocket: 1\n` },
      "config/routes/r.yaml:3:12 websocket: expected true or false\n",
    ],
    [
      "an unset variable",
      { "config/routes/r.yaml": "match: { path: /x }\nupstream: ${NOT_SET}\n" },
      "config/routes/r.yaml:2:11 upstream: the environment variable NOT_SET is not set; ${NOT_SET:-default} would give it a default\n",
    ],
    [
      "a directory for a file",
      { "config/routes/r.yaml/x": "" },
      "config/routes/r.yaml: expected a file, but it is a directory\n",
    ],
    [
      "more than one",
      {
        "config/sluice.yaml": "listen: 70000\n",
        "config/routes/r.yaml": `${ROUTE}stream: { hartbeat: 1s }\n`,
      },
      "config/routes/r.yaml:3:11 stream.hartbeat: unknown key; did you mean heartbeat?\nconfig/sluice.yaml:1:9 listen: expected a port, host:port such as 127.0.0.1:8000, or unix:/path, or an object with address; a port is at most 65535\n",
    ],
  ];

  test.each(cases)("%s", async (_, files, stderr) => {
    const cwd = directoryOf(files);
    expect(await sluice(["check", "--config", "config"], { cwd })).toEqual({ code: 2, stdout: "", stderr });
    expect(await sluice(["serve", "--config", "config"], { cwd })).toEqual({ code: 2, stdout: "", stderr });
  });

  test("their processes do too", async () => {
    const cwd = directoryOf({});
    const result = { code: 2, stdout: "", stderr: "config: does not exist\n" };
    expect(await ended(["check", "--config", "config"], cwd)).toEqual(result);
    expect(await ended(["serve", "--config", "config"], cwd)).toEqual(result);
  });

  test("without files, serve prints the commands that need none", async () => {
    expect(await sluice(["serve"], { cwd: directoryOf({}) })).toEqual({
      code: 2,
      stdout: "",
      stderr:
        "./config: does not exist\nWrite one with sluice init; without files: sluice serve --to URL, or sluice demo.\n",
    });
  });

  test("flags: every problem at once, by the flag's name", async () => {
    const { code, stderr } = await sluice([
      "serve",
      "--to",
      "x",
      "--cors",
      "y",
      "--listen",
      "z",
      "--log-format",
      "jso",
    ]);
    expect(code).toBe(2);
    expect(stderr.split("\n").map((line) => line.split(":")[0])).toEqual([
      "--log-format",
      "--to",
      '--cors "y"',
      "--listen",
      "",
    ]);
  });
});

describe("an address that cannot be used ends serve with 2, the address and the key", () => {
  test("in use, by --listen and by file", async () => {
    const port = await startBackend((_, response) => response.end());
    const message = `cannot listen on 127.0.0.1:${port}: the address is in use (EADDRINUSE)\n`;
    const byFlag = await ended(["serve", "--to", "http://127.0.0.1:1", "--listen", `127.0.0.1:${port}`]);
    expect(byFlag).toEqual({ code: 2, stdout: "", stderr: `--listen: ${message}` });
    // The other address was free; it must not keep the process alive.
    const cwd = directoryOf({
      "config/sluice.yaml": `admin: false\nlisten: ["127.0.0.1:0", "127.0.0.1:${port}"]`,
      "config/routes/r.yaml": ROUTE,
    });
    const byFile = await ended(["serve"], cwd);
    expect(byFile).toEqual({ code: 2, stdout: "", stderr: `./config/sluice.yaml listen: ${message}` });
  });

  test.each([
    ["unix:/nowhere/at/all.sock", /^--listen: cannot listen on unix:\/nowhere\/at\/all\.sock: .+\n$/],
    [
      "192.0.2.1:0",
      /^--listen: cannot listen on 192\.0\.2\.1(:0)?: this machine has no such address \(EADDRNOTAVAIL\)\n$/,
    ],
  ])("%s", async (address, stderr) => {
    const result = await ended(["serve", "--to", "http://127.0.0.1:1", "--listen", address]);
    expect(result).toEqual({ code: 2, stdout: "", stderr: expect.stringMatching(stderr) });
  });
});

describe("serve", () => {
  test("logs each listener and ready, serves, and ends with 0 on SIGTERM and SIGINT", async () => {
    const port = await startBackend((_, response) => response.end("hello"));
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const cwd = directoryOf({
        "config/sluice.yaml": 'admin: false\nlisten: ["127.0.0.1:${PORT}", "unix:${SOCKET}"]',
        "config/routes/r.yaml": "match: { path: /x }\nupstream: http://127.0.0.1:${BACKEND}\n",
      });
      const socket = join(cwd, "s");
      const server = start(["serve"], { cwd, env: { PORT: "0", SOCKET: socket, BACKEND: String(port) } });
      await server.logged("ready");
      const [tcp, unix, ready] = server.lines();
      expect(unix).toMatchObject({ msg: "listening", address: `unix:${socket}` });
      expect(ready).toMatchObject({ msg: "ready" });
      expect(tcp).toMatchObject({ msg: "listening", address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
      const response = await fetch(`http://${String(tcp?.["address"])}/x`);
      expect(await response.text()).toBe("hello");
      server.kill(signal);
      expect(await server.ended).toMatchObject({ code: 0, stderr: "" });
    }
  });

  test("--to serves every path without files, and --cors allows a page", async () => {
    const port = await startBackend((request, response) => response.end(request.url));
    const origin = "https://app.example.com";
    const server = start(
      [
        "serve",
        "--to",
        `http://127.0.0.1:${port}`,
        "--listen",
        "127.0.0.1:0",
        "--cors",
        origin,
        "--cors",
        "https://b.example",
      ],
      { cwd: directoryOf({}) },
    );
    const { address } = await server.logged("listening");
    const response = await fetch(`http://${String(address)}/any/path?x=1`, { headers: { Origin: origin } });
    expect(await response.text()).toBe("/any/path?x=1");
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
  });

  test("a second signal ends it at once", async () => {
    let asked = 0;
    const port = await startBackend(() => {
      asked += 1;
    });
    const server = start(["serve", "--to", `http://127.0.0.1:${port}`, "--listen", "127.0.0.1:0"]);
    const { address } = await server.logged("listening");
    const answer = fetch(`http://${String(address)}/`).catch(() => "cut off");
    await eventually(() => asked === 1, "the request at the backend");
    server.kill("SIGTERM");
    // The open request delays the end, so the first signal alone would wait for it.
    await server.logged("stopping");
    server.kill("SIGTERM");
    expect(await server.ended).toMatchObject({ code: 1 });
    expect(await answer).toBe("cut off");
  });

  test.each([
    ["uncaught exception", "throw new Error('planted')"],
    ["unhandled rejection", "Promise.reject(new Error('planted'))"],
  ])("an %s is logged and ends the process with 1", async (msg, act) => {
    const preload = `data:text/javascript,process.on('SIGUSR2',()=>{${encodeURIComponent(act)}})`;
    const server = start(["serve", "--to", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"], {
      env: { NODE_OPTIONS: `--import=${preload}` },
    });
    await server.logged("ready");
    server.kill("SIGUSR2");
    const { code } = await server.ended;
    expect(code).toBe(1);
    expect(server.lines().at(-1)).toMatchObject({ level: 60, msg, err: { message: "planted" } });
  });

  test("--log-format pretty prints text for people, and --log-level selects the level", async () => {
    const port = await startBackend((_, response) => response.end());
    const args = [
      "serve",
      "--to",
      `http://127.0.0.1:${port}`,
      "--listen",
      "127.0.0.1:0",
      "--log-format",
      "pretty",
    ];
    const server = start(args);
    await eventually(() => /INFO.*ready/.test(server.text()), "ready, for people", START);
    expect(server.lines()).toEqual([]);
    const socket = join(directoryOf({}), "s");
    const quiet = start([...args.slice(0, 3), "--listen", `unix:${socket}`, "--log-level", "warn"]);
    await eventually(() => existsSync(socket), "the socket", START);
    quiet.kill("SIGTERM");
    expect(await quiet.ended).toEqual({ code: 0, stdout: "", stderr: "" });
  });
});

test("schema prints the schemas that the samples name", async () => {
  for (const name of ["route", "server"]) {
    const { code, stdout } = await sluice(["schema", name]);
    expect(code).toBe(0);
    expect(stdout).toBe(readFileSync(join(ROOT, `config/schema/${name}.json`), "utf8"));
  }
  expect((await sluice(["schema"])).stdout).toBe((await sluice(["schema", "route"])).stdout);
});
