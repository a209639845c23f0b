import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, networkInterfaces, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { configFromFlags } from "../../../src/config/from-flags.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblem } from "../../../src/config/problem.ts";

// One request to a route whose backend is the gateway itself opened 8,769 files in five seconds.

function directory(): string {
  const root = mkdtempSync(join(tmpdir(), "sluice-own-"));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

function problemsOf(files: Readonly<Record<string, string>>): string[] {
  const root = directory();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const loaded = loadConfig(root, {});
  return "problems" in loaded
    ? loaded.problems.map((one) => formatProblem(one).replaceAll(root, "config"))
    : [];
}

/** Whether a gateway that listens on one address treats a backend's address as its own. */
const isOwn = (listen: string, url: string): boolean =>
  problemsOf({
    "sluice.yaml": `listen: ${JSON.stringify(listen)}\n`,
    "routes/r.yaml": `match: { path: /* }\nupstream: ${JSON.stringify(url)}\n`,
  }).length > 0;

const interfaces = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses);
const external = interfaces.find(({ internal, family }) => !internal && family === "IPv4")?.address;

type Pair = [listen: string, url: string];
const pair = (listen: string, url: string): Pair => [listen, url];

describe("a backend is the gateway itself", () => {
  test.each<Pair>([
    ["8000", "http://127.0.0.1:8000"],
    ["8000", "http://127.9.8.7:8000"],
    ["8000", "http://localhost:8000"],
    ["8000", "http://LOCALHOST.:8000/"],
    ["8000", "http://app.localhost:8000"],
    ["8000", "http://[::1]:8000"],
    ["8000", "http://[::ffff:127.0.0.1]:8000"],
    ["8000", "http://2130706433:8000"],
    ["8000", "http://0.0.0.0:8000"],
    ["8000", "https://localhost:8000"],
    ["8000", `http://${hostname()}:8000`],
    ...(external === undefined ? [] : [pair("8000", `http://${external}:8000`)]),
    ["80", "http://localhost"],
    ["443", "https://localhost"],
    ["0.0.0.0:8000", "http://127.0.0.1:8000"],
    ["0.0.0.0:8000", "http://localhost:8000"],
    ["[::]:8000", "http://127.0.0.1:8000"],
    ["[::]:8000", "http://[::1]:8000"],
    ["127.0.0.1:8000", "http://127.0.0.1:8000"],
    ["127.0.0.1:8000", "http://localhost:8000"],
    ["127.0.0.1:8000", "http://0.0.0.0:8000"],
    ["[::1]:8000", "http://localhost:8000"],
    ["localhost:8000", "http://127.0.0.1:8000"],
    ["proxy.internal:8000", "http://Proxy.Internal:8000"],
    ["unix:/run/s.sock", "unix:/run/s.sock"],
    ["unix:/run/s.sock", "unix:/run/../run//s.sock"],
  ])("listen %s, backend %s", (listen, url) => {
    expect(isOwn(listen, url)).toBe(true);
  });

  test.each<Pair>([
    ["8000", "http://127.0.0.1:8001"],
    ["8000", "http://app:8000"],
    ["8000", "http://192.0.2.1:8000"],
    ["0", "http://127.0.0.1:8000"],
    ["0.0.0.0:8000", "http://[::1]:8000"],
    ["127.0.0.1:8000", "http://127.0.0.2:8000"],
    ["127.0.0.1:8000", "http://[::1]:8000"],
    ...(external === undefined ? [] : [pair("127.0.0.1:8000", `http://${external}:8000`)]),
    ["127.0.0.1:8000", "unix:/run/s.sock"],
    ["unix:/run/s.sock", "http://localhost"],
    ["unix:/run/s.sock", "unix:/run/app.sock"],
  ])("is not the gateway: listen %s, backend %s", (listen, url) => {
    expect(isOwn(listen, url)).toBe(false);
  });

  test("by another name of a unix socket", () => {
    const root = directory();
    mkdirSync(join(root, "run"));
    symlinkSync(join(root, "run"), join(root, "var-run"));
    expect(isOwn(`unix:${root}/run/s.sock`, `unix:${root}/var-run/s.sock`)).toBe(true);
    symlinkSync(join(root, "run", "s.sock"), join(root, "link.sock"));
    writeFileSync(join(root, "run", "s.sock"), "");
    expect(isOwn(`unix:${root}/run/s.sock`, `unix:${root}/link.sock`)).toBe(true);
  });
});

test("each is reported with its place and the remedy", () => {
  const url = "http://127.0.0.1:8000";
  const expected = "expected the address of an application, or another";
  expect(
    problemsOf({
      "sluice.yaml": 'listen: ["127.0.0.1:8001", 8000]\n',
      "routes/a.yaml": `match: { path: /a }\nupstream: ${url}\n`,
      "routes/b.yaml": `match: { path: /b }
upstream:
  backends:
    - url: http://127.0.0.1:9000
    - url: http://localhost:8001
stages:
  TEST: { upstream: "http://[::1]:8000" }
`,
      "routes/c.yaml": "match: { path: /c }\nupstream: http://localhost:9900\n",
      "routes/d.yaml": `match: { path: /d }
upstream: "http://127.0.0.1:#Port#"
variables: { Port: 9000 }
stages: { TEST: { variables: { Port: 8000 } } }
`,
    }),
  ).toEqual([
    `config/routes/a.yaml:2:11 upstream: ${url} is an address that this gateway listens on; ${expected} listen in sluice.yaml`,
    `config/routes/b.yaml:5:12 upstream.backends[1].url: http://localhost:8001 is an address that this gateway listens on; ${expected} listen in sluice.yaml`,
    `config/routes/b.yaml:7:21 stages.TEST.upstream: http://[::1]:8000 is an address that this gateway listens on; ${expected} listen in sluice.yaml`,
    `config/routes/c.yaml:2:11 upstream: http://localhost:9900 is the admin listener of this gateway; ${expected} admin in sluice.yaml`,
    `config/routes/d.yaml:4:17 stages.TEST: ${url} is an address that this gateway listens on; ${expected} listen in sluice.yaml`,
  ]);
});

test("--to is compared with --listen and its default", () => {
  const problems = (to: string, listen?: string) => {
    const loaded = configFromFlags({ to, listen, cors: [], trust: [], admin: undefined });
    return "problems" in loaded ? loaded.problems.map(formatProblem) : [];
  };
  const problem =
    "--to: http://localhost:8000 is an address that this gateway listens on; expected the address of an application, or another --listen";
  expect(problems("http://localhost:8000")).toEqual([problem]);
  expect(problems("http://localhost:8000", "127.0.0.1:8000")).toEqual([problem]);
  expect(problems("http://localhost:8000", "8001")).toEqual([]);
  // There is no admin listener with --to.
  expect(problems("http://localhost:9900")).toEqual([]);
});
