import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { attempt } from "../support/command.ts";
import { runSluice as sluice } from "../support/command-line.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, ROOT, START_MS, startSluice, writeFiles } from "../support/sluice-process.ts";

const MAIN = join(ROOT, "dist/cli/main.js");
const START = { timeoutMs: START_MS };

test("help, version and -v are commands too", async () => {
  expect(await sluice(["help"])).toEqual(await sluice(["--help"]));
  expect(await sluice(["help", "serve"])).toEqual(await sluice(["serve", "--help"]));
  expect(await sluice(["version"])).toEqual(await sluice(["--version"]));
  expect(await sluice(["-v"])).toEqual(await sluice(["--version"]));
});

test("on an old Node, the needed version is named instead of a SyntaxError", async () => {
  const old = join(directoryOf({}), "old.cjs");
  writeFileSync(old, 'Object.defineProperty(process.versions, "node", { value: "20.18.1" });');
  const { code, output } = await attempt(process.execPath, ["--require", old, MAIN, "--version"]);
  expect({ code, output }).toEqual({
    code: 2,
    output: "sluice needs Node 20.19 or newer; this is Node 20.18.1.\n",
  });
});

describe("init", () => {
  test("writes a configuration that check accepts, with the given proxy and origin", async () => {
    const root = directoryOf({});
    const flags = ["--to", "unix:/run/app.sock", "--cors", "https://a.example", "--behind", "10.0.0.0/8"];
    const made = await sluice(["init", ...flags], { cwd: root });
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(made.stdout).toContain("wrote config/sluice.yaml\nwrote config/routes/main.yaml\n");
    expect(readFileSync(join(root, "config/sluice.yaml"), "utf8")).toContain(
      '\ntrustedProxies: ["10.0.0.0/8"]\n',
    );
    const checked = await sluice(["check"], { cwd: root });
    expect(checked).toMatchObject({ code: 0, stderr: "" });
    expect(checked.stdout).toContain("unix:/run/app.sock");
    expect(readFileSync(join(root, "config/routes/main.yaml"), "utf8")).toContain('["https://a.example"]');
  });

  test("overwrites nothing", async () => {
    const root = directoryOf({ "config/sluice.yaml": "listen: 1\n" });
    const first = await sluice(["init", "--to", "http://127.0.0.1:1"], { cwd: root });
    expect(first.stdout).toContain("kept  config/sluice.yaml\nwrote config/routes/main.yaml\n");
    expect(readFileSync(join(root, "config/sluice.yaml"), "utf8")).toBe("listen: 1\n");
    expect(await sluice(["init", "--to", "http://127.0.0.1:1"], { cwd: root })).toMatchObject({
      code: 2,
      stderr: "sluice: ./config has a configuration already; nothing was written\n",
    });
  });

  test("names a directory that cannot be written", async () => {
    const cwd = directoryOf({ taken: "" });
    const flags = ["--to", "http://127.0.0.1:1", "--config", "taken"];
    expect(await sluice(["init", ...flags], { cwd })).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /^sluice: taken\S* cannot be written \(E\w+\); use --config for another directory\n$/,
      ),
    });
  });

  test("names a directory that the system does not make, and ends", async () => {
    const args = ["init", "--to", "http://127.0.0.1:1", "--config", "/proc/x/config"];
    expect(await sluice(args)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^sluice: \/proc\/x cannot be written \(E\w+\)/),
    });
  });

  test("asks for the backend only on a terminal, and checks what it is given", async () => {
    const cwd = directoryOf({});
    expect(await sluice(["init"], { cwd })).toMatchObject({
      code: 2,
      stderr: "sluice: init needs --to URL, the backend\nTry sluice init --help.\n",
    });
    expect(await sluice(["init", "--to", "http://a", "--behind", "nginx"], { cwd })).toMatchObject({
      code: 2,
      stderr: '--behind "nginx": expected an address or a CIDR range such as 10.0.0.0/8\n',
    });
    const asked = await attempt(
      "script",
      ["-qec", `${process.execPath} ${MAIN} init </dev/tty`, "/dev/null"],
      {
        cwd,
        timeoutMs: 20_000,
        input: "http://127.0.0.1:3000\n",
      },
    );
    expect(asked.output).toContain("Which backend?");
    expect(readFileSync(join(cwd, "config/routes/main.yaml"), "utf8")).toContain('"http://127.0.0.1:3000"');
  });
});

describe("health", () => {
  const ROUTE = "match: { path: /* }\nmock: { body: ok }\n";

  test("asks the admin listener, and logs nothing", async () => {
    const cwd = directoryOf({ "config/routes/main.yaml": ROUTE });
    writeFiles(cwd, { "config/sluice.yaml": `listen: unix:${cwd}/s\nadmin: unix:${cwd}/a\n` });
    const down = await sluice(["health"], { cwd });
    expect(down.code).toBe(1);
    expect(down.stderr).toContain("ENOENT");
    const server = startSluice(["serve"], { cwd });
    await server.logged("ready");
    expect(await sluice(["health"], { cwd })).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await sluice(["health", "--ready"], { cwd })).toMatchObject({ code: 0 });
    expect(server.lines().filter(({ msg }) => msg === "request")).toEqual([]);
  });

  test.each([
    ["plain", ""],
    ["behind PROXY protocol", ", proxyProtocol: true"],
  ])("without an admin listener, asks the first listener: %s", async (_, more) => {
    const cwd = directoryOf({ "config/routes/main.yaml": ROUTE });
    const text = `listen: [{ address: 'unix:${cwd}/s'${more} }]\nadmin: false\n`;
    writeFiles(cwd, { "config/sluice.yaml": text });
    const server = startSluice(["serve"], { cwd });
    await server.logged("ready");
    expect(await sluice(["health"], { cwd })).toMatchObject({ code: 0, stderr: "" });
    expect((await sluice(["health", "--ready"], { cwd })).code).toBe(1);
  });
});

describe("completion", () => {
  test("completes commands and flags in bash", async () => {
    const script = (await sluice(["completion", "bash"])).stdout;
    const complete = async (...words: string[]) => {
      const line = `${script}\nCOMP_WORDS=(sluice ${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length}\n_sluice\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
      return (await attempt("bash", ["-c", line])).stdout.trim().split("\n");
    };
    expect(await complete("se")).toEqual(["serve"]);
    expect(await complete("serve", "--t")).toEqual(["--to", "--trust"]);
    expect(await complete("schema", "--h")).toEqual(["--help"]);
    expect(await complete("nginx", "--h")).toEqual(["--help"]);
    expect(await complete("nginx", "l")).toEqual(["lint"]);
    expect(await complete("nginx", "lint", "--fi")).toEqual(["--fix"]);
  });

  test.each(["zsh", "fish"])("names every command for %s", async (shell) => {
    const { code, stdout } = await sluice(["completion", shell]);
    expect(code).toBe(0);
    for (const name of ["serve", "check", "init", "health", "nginx"]) expect(stdout).toContain(name);
  });

  test("another shell is refused", async () => {
    expect((await sluice(["completion", "tcsh"])).stderr).toContain("bash, zsh or fish");
  });
});

test("on a terminal, serve speaks to people: URLs, routes, and a short line for each request", async () => {
  const backend = await startBackend((request) => request.respond(200, {}, "ok"));
  // The end of the terminal is a SIGHUP, at which serve reloads: it has to end with its parent.
  const command = `exec setpriv --pdeathsig KILL ${process.execPath} ${MAIN} serve --to ${backend.url} --listen 127.0.0.1:0 --admin 0`;
  const server = startSluice([], {
    // The arguments that follow are not needed: the command is whole.
    under: ["sh", "-c", `exec script -qec "${command}" /dev/null`],
    env: { NO_COLOR: "1" },
  });
  const url = await eventually(
    () => /open +(http:\/\/127\.0\.0\.1:\d+)/.exec(server.text())?.[1],
    "the URL",
    START,
  );
  await eventually(() => server.text().includes("ready"), "ready", START);
  expect(server.text()).toMatch(/dashboard +http:\/\/127\.0\.0\.1:\d+/);
  expect(server.text()).toContain("default");
  await fetch(`${url}/chat`);
  await eventually(
    () => /INFO: GET \/chat 200 \d+ ms\r?\n/.test(server.text()),
    "the line of the request",
    START,
  );
  expect(server.lines()).toEqual([]);
});
