import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { type CertificateFiles, certificateFiles } from "../support/certificate-files.ts";
import { runSluice } from "../support/command-line.ts";
import { BUILDS } from "../support/nginx-lab.ts";
import { directoryOf, ROOT } from "../support/sluice-process.ts";

const ROUTE = "match: { path: /events/* }\nupstream: http://127.0.0.1:9000\n";
const CONFIG = {
  "config/sluice.yaml": "listen: 127.0.0.1:8000\ntrustedProxies: [127.0.0.1]\n",
  "config/routes/events.yaml": `${ROUTE}cors: { allowOrigins: [https://app.example.com] }\nwebsocket: true\n`,
  "config/routes/own.yaml":
    "match: { path: /, host: app.example.com }\nupstream: http://127.0.0.1:9001\ncors: true\n",
};

const generate = (args: readonly string[], files: Readonly<Record<string, string>> = CONFIG, env = {}) =>
  runSluice(["nginx", "generate", ...args], { cwd: directoryOf(files), env });

let tls: CertificateFiles;
beforeAll(async () => {
  tls = await certificateFiles();
});

describe("the generated configuration passes nginx -t and lint", () => {
  const flags: readonly (readonly [string, readonly string[]])[] = [
    ["at the edge", []],
    ["behind a load balancer", ["--behind", "10.0.0.0/8,192.168.1.7", "--behind", "2001:db8::/32"]],
    ["for the paths of the routes alone", ["--mode", "routes"]],
    ["for another sluice", ["--server", "10.1.2.3:8000", "--server", "unix:/run/a b;.sock"]],
    ["on another address", ["--listen", "127.0.0.1:8080"]],
  ];

  test.each(flags)("%s", async (_, args) => {
    const { code, stdout, stderr } = await generate([...args, "--check", "--nginx", "1.22"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^# sluice nginx generate: nginx 1\.22 /);
  });

  test.each([[[]], [["--no-http2"]]])("with TLS %j", async (args) => {
    const { code, stdout, stderr } = await generate(["--tls", `${tls.cert},${tls.key}`, "--check", ...args]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("listen 443 ssl");
    expect(/http2/.test(stdout)).toBe(args.length === 0);
  });

  test.each(BUILDS)("for nginx $version, which reports its version", async ({ version, path }) => {
    const bin = mkdtempSync(join(tmpdir(), "sluice-bin-"));
    afterTest(() => rmSync(bin, { recursive: true, force: true }));
    symlinkSync(path, join(bin, "nginx"));
    const args = ["--tls", `${tls.cert},${tls.key}`, "--check", "--behind", "10.0.0.0/8"];
    const env = { PATH: `${bin}:${process.env["PATH"]}` };
    const { code, stdout, stderr } = await generate(args, CONFIG, env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    if (process.env["NGINX_PATH"] === undefined) expect(stdout).toContain(`nginx ${version}.`);
    expect(stdout.includes("http2 on;")).toBe(version !== "1.22");
  });

  test("with long names, many origins and paths of any characters", async () => {
    const label = "a-label-of-a-name-that-is-rather-long";
    const { code, stdout, stderr } = await generate(["--check", "--mode", "routes"], {
      ...CONFIG,
      "config/routes/long.yaml": [
        `match: { host: ${label}.${label}.example.com, path: "/a;b$c/%C3%A4%7B%22%20/*" }`,
        "upstream: http://127.0.0.1:9002",
        `cors: { allowCredentials: true, allowOrigins: ["https://${label}.${label}.example.com:8443", "https://*.example.com", "http://[::1]:80800"] }`,
      ]
        .join("\n")
        .replace(":80800", ":8080"),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain('location ^~ "/a;b$c/ä{\\" /"');
  });
});

describe("if --check finds a problem", () => {
  test("nothing is written, and the output has nginx's own message", async () => {
    const out = join(mkdtempSync(join(tmpdir(), "sluice-out-")), "site.conf");
    const args = ["--tls", "/nowhere/cert.pem,/nowhere/key.pem", "--check", "--out", out];
    const { code, stdout, stderr } = await generate(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain('cannot load certificate "/nowhere/cert.pem"');
    expect(stderr).toContain("sluice nginx generate: the check has findings, so nothing was written");
    expect(() => readFileSync(out)).toThrow();
  });

  test("without an nginx on the PATH, the exit code is 2", async () => {
    const { code, stderr } = await generate(["--check"], CONFIG, { PATH: "/nowhere" });
    expect(code).toBe(2);
    expect(stderr).toContain("no nginx on the PATH: written for 1.22.1; --nginx selects another version");
    expect(stderr).toContain("--check needs nginx on the PATH");
  });
});

describe("a file", () => {
  test("is written, and overwritten", async () => {
    const cwd = directoryOf(CONFIG);
    const run = () => runSluice(["nginx", "generate", "--out", "site.conf"], { cwd });
    for (let time = 0; time < 2; time += 1) expect((await run()).code).toBe(0);
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toContain("upstream sluice_servers");
  });

  test("written by hand is not overwritten", async () => {
    const cwd = directoryOf({ ...CONFIG, "site.conf": "server {}\n" });
    const { code, stderr } = await runSluice(["nginx", "generate", "--out", "site.conf"], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain("site.conf is not a generated file, so it was not replaced");
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe("server {}\n");
  });

  test("that cannot be written is named", async () => {
    const { code, stderr } = await generate(["--out", "nowhere/site.conf"]);
    expect(code).toBe(2);
    expect(stderr).toContain("nowhere/site.conf cannot be written (ENOENT)");
  });
});

describe("bad input ends with exit code 2 and a sentence", () => {
  test.each([
    [["--listen", "eighty"], "--listen: expected a port, host:port or unix:/path, not eighty"],
    [["--listen", "80; ${X}"], "--listen: expected a port, host:port or unix:/path, not 80; ${X}"],
    [["--tls", "cert.pem"], "--tls: expected CERT,KEY, the paths of two PEM files, not cert.pem"],
    [["--http2"], "--http2 needs --tls"],
    [["--http2", "--no-http2"], "--http2 and --no-http2 exclude each other"],
    [["--edge", "--behind", "10.0.0.1"], "--edge and --behind exclude each other"],
    [["--behind", "balancer"], "--behind: expected an address or a range such as 10.0.0.0/8, not balancer"],
    [["--behind", "0.0.0.0/0"], "--behind 0.0.0.0/0 would let every client forge its address"],
    [["--mode", "some"], "--mode: expected all or routes, not some"],
    [["--nginx", "new"], "--nginx: expected a version such as 1.26, not new"],
    [["--server", "8000"], "--server is HOST:PORT or unix:/PATH, not 8000"],
    [["--server", "a b:1;"], "--server is HOST:PORT or unix:/PATH, not a b:1;"],
    [["--config", "nowhere"], "nowhere: "],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await generate(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  });

  test.each([
    ["{ address: 127.0.0.1:8000, proxyProtocol: true }", "listen has only addresses with proxyProtocol"],
    ["127.0.0.1:0", "listen has only addresses whose port is not fixed"],
  ])("listen: %s", async (listen, message) => {
    const files = { ...CONFIG, "config/sluice.yaml": `listen: ${listen}\n` };
    const { code, stderr } = await generate([], files);
    expect(code).toBe(2);
    expect(stderr).toContain(`sluice nginx generate: ${message}`);
    expect(stderr).toContain("--server 127.0.0.1:8000");
  });
});

describe("problems outside nginx are reported", () => {
  test.each([
    [[], "listen: 8000\n", "trustedProxies lacks 127.0.0.1"],
    [[], "listen: '[::1]:8000'\n", "trustedProxies lacks ::1"],
    [["--server", "10.0.0.1:8000"], "listen: 8000\n", "trustedProxies is empty"],
  ])("%j %s", async (args, server, message) => {
    const { code, stderr } = await generate(args, { ...CONFIG, "config/sluice.yaml": server });
    expect(code).toBe(0);
    expect(stderr).toContain(message);
  });

  test("streams without a heartbeat", async () => {
    const files = { ...CONFIG, "config/routes/events.yaml": `${ROUTE}stream: { heartbeat: off }\n` };
    const { code, stdout, stderr } = await generate([], files);
    expect(code).toBe(0);
    expect(stderr).toContain("without a heartbeat, nginx cuts streams after a long silence on events");
    expect(stdout).toContain("proxy_read_timeout 3615s;");
  });
});

test("the sample of nginx matches the generated configuration for the sample of sluice", async () => {
  const args = ["--listen", "${RECOMMENDED_LISTEN}", "--server", "${SLUICE_UPSTREAM}", "--nginx", "1.22"];
  const { code, stdout } = await runSluice([
    "nginx",
    "generate",
    "--config",
    "docker/config",
    ...args,
    "--check",
  ]);
  expect(code).toBe(0);
  const path = join(ROOT, "docker/nginx/recommended.conf.template");
  if (process.env["WRITE_SAMPLE"] !== undefined) writeFileSync(path, stdout);
  expect(stdout).toBe(readFileSync(path, "utf8"));
});
