import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runSluice } from "../support/command-line.ts";
import { CLEAN, lint, SITE } from "../support/lint-command.ts";
import { directoryOf, ROOT } from "../support/sluice-process.ts";

describe("a configuration that breaks streams", () => {
  test("ends with exit code 1 and prints place, effect, cause and remedy", async () => {
    const cwd = directoryOf({ "site.conf": SITE });
    const { code, stdout, stderr } = await lint(["site.conf", "--only", "response-buffered"], { cwd });
    expect(code).toBe(1);
    expect(stdout).toBe(
      [
        "site.conf:4:5 error response-buffered  /events",
        "   proxy_buffering is on (default): nginx sends nothing, not even the head, until it has 4 kB or the stream ends (D1 D2 D3 D4 D5 D6 D28)",
        "   proxy_buffering on (default; nothing sets it in location /events, server site.conf:1)",
        "   fix: proxy_buffering off;",
        "",
      ].join("\n"),
    );
    expect(stderr).toBe("1 error (nginx 1.22)\n");
  });

  test("passes with --fail-on error if there are only warnings", async () => {
    const cwd = directoryOf({ "site.conf": SITE });
    const only = ["site.conf", "--only", "read-timeout-cuts-silence"];
    expect((await lint(only, { cwd })).code).toBe(1);
    expect((await lint([...only, "--fail-on", "error"], { cwd })).code).toBe(0);
  });

  test("passes if a comment ignores the findings", async () => {
    const cwd = directoryOf({
      "a.conf": SITE.replace("location", "# sluice-ignore\n    location"),
      "b.conf": SITE.replace("/events {", "/events { # sluice-ignore: response-buffered"),
    });
    expect(await lint(["a.conf"], { cwd })).toEqual({ code: 0, stdout: "", stderr: "" });
    expect((await lint(["b.conf"], { cwd })).stdout).not.toContain("response-buffered");
    expect((await lint(["b.conf"], { cwd })).stdout).toContain("http10-upstream");
  });
});

test("a clean configuration ends with exit code 0 and without output", async () => {
  const cwd = directoryOf({ "site.conf": CLEAN });
  expect(await lint(["site.conf"], { cwd })).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("the sample of nginx in front of sluice is clean", async () => {
  const sample = readFileSync(join(ROOT, "docker/nginx/recommended.conf.template"), "utf8");
  const text = sample.replace("${SLUICE_UPSTREAM}", "127.0.0.1:8000").replace("${RECOMMENDED_LISTEN}", "80");
  const cwd = directoryOf({ "site.conf": text });
  for (const version of ["1.22", "1.26", "1.30"]) {
    const args = ["nginx", "lint", "site.conf", "--sluice", "127.0.0.1:8000", "--all", "--nginx", version];
    expect(await runSluice(args, { cwd })).toEqual({ code: 0, stdout: "", stderr: "" });
  }
});

describe("locations that possibly carry streams", () => {
  const text = SITE.replace("/events", "/api/");

  test("are counted, and shown with --all", async () => {
    const cwd = directoryOf({ "site.conf": `${SITE}${text.replace("80", "81")}` });
    const hidden = await lint(["site.conf"], { cwd });
    expect(hidden.stdout).not.toContain("/api/");
    expect(hidden.stderr).toMatch(/; \d more on locations that may carry streams, shown by --all/);
    expect((await lint(["site.conf", "--all"], { cwd })).stdout).toContain("info response-buffered  /api/");
  });

  test("count as streams with --stream", async () => {
    const cwd = directoryOf({ "site.conf": text });
    const { stdout } = await lint(["site.conf", "--stream", "/api/live"], { cwd });
    expect(stdout).toContain("error response-buffered  /api/");
  });
});

describe("lint reads", () => {
  test("the output of nginx -T on standard input, with the places of its files", () => {
    const dump = `# configuration file /etc/nginx/nginx.conf:\nevents {}\nhttp { include site.conf; }\n\n# configuration file /etc/nginx/site.conf:\n${SITE}`;
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(ROOT, "dist/cli/main.js"), "nginx", "lint", "-", "--nginx", "1.22"],
      { input: dump, encoding: "utf8" },
    );
    expect(status).toBe(1);
    expect(stdout).toContain("/etc/nginx/site.conf:4:5 error response-buffered");
  });

  test("a directory: nginx.conf with its includes, or all files together", async () => {
    const whole = directoryOf({
      "nginx.conf": "events {}\nhttp { include conf.d/*.conf; }\n",
      "conf.d/a.conf": SITE,
    });
    expect((await lint([whole])).stdout).toContain("conf.d/a.conf:4:5 error response-buffered");
    const parts = directoryOf({
      "up.conf": "upstream app { server 127.0.0.1:8000; }\n",
      "site.conf": SITE.replace("127.0.0.1:9000", "app"),
    });
    // The upstream of the other file identifies sluice, whose header switches buffering off.
    const { stdout } = await lint([parts, "--sluice", "127.0.0.1:8000"]);
    expect(stdout).not.toContain("response-buffered");
    expect(stdout).toContain("body-limit");
  });

  test("a copy of a machine's tree with --map", async () => {
    const cwd = directoryOf({
      "etc/nginx.conf": "events {}\nhttp { include /etc/nginx/conf.d/*.conf; }\n",
      "etc/conf.d/a.conf": SITE,
    });
    const { stdout } = await lint(["etc/nginx.conf", "--map", "/etc/nginx=./etc"], { cwd });
    expect(stdout).toContain("etc/conf.d/a.conf:4:5 error response-buffered");
  });

  test("sluice's own configuration, to check locations against its routes", async () => {
    const cwd = directoryOf({
      "site.conf": CLEAN.replace("proxy_read_timeout 1h;", "proxy_read_timeout 20s;"),
      "sluice/sluice.yaml": "listen: 127.0.0.1:9000\n",
      "sluice/routes/events.yaml":
        "match: { path: /events }\nupstream: http://127.0.0.1:8081\nstream: { heartbeat: 30s }\n",
    });
    const { stdout } = await lint(["site.conf", "--config", "sluice"], { cwd });
    expect(stdout).toContain("error read-timeout-cuts-silence");
    expect(stdout).toContain("bytes come only every 30s");
  });
});

describe("bad input ends with exit code 2 and a sentence with the remedy", () => {
  const REMEDY = "name an nginx configuration, a directory of them, or - for the output of nginx -T";

  test.each([
    ["a missing file", ["none.conf"], `none.conf does not exist; ${REMEDY}`],
    ["a directory without configurations", ["empty"], `empty contains no nginx configuration; ${REMEDY}`],
    [
      "a configuration of sluice that does not load",
      ["site.conf", "--config", "none"],
      "none: does not exist",
    ],
  ])("%s", async (_, args, message) => {
    const cwd = directoryOf({ "site.conf": SITE, "empty/readme.txt": "" });
    expect(await lint(args, { cwd })).toEqual({
      code: 2,
      stdout: "",
      stderr: `sluice nginx lint: ${message}\n`,
    });
  });

  test("a syntax error, with the message of nginx -t and its place", async () => {
    const cwd = directoryOf({ "nginx.conf": "events {}\nhttp {\n    server { listen 80 }\n}\n" });
    const { code, stdout } = await lint(["nginx.conf"], { cwd });
    expect(code).toBe(2);
    expect(stdout).toContain('nginx.conf:3:24 error syntax\n   nginx does not start: unexpected "}"');
  });

  test("a template, which is reported as a template", async () => {
    const cwd = directoryOf({ "site.conf": "server {\n    listen {{ port }};\n}\n" });
    const { code, stdout } = await lint(["site.conf"], { cwd });
    expect(code).toBe(2);
    expect(stdout).toContain(
      "site.conf:2:12 warning syntax\n   this is a template; name the rendered file instead",
    );
  });

  test.each([
    [["--only", "response-bufered"], "unknown rule response-bufered; did you mean response-buffered?"],
    [["--format", "xml"], "--format: expected text, json, sarif, github, not xml"],
    [["--fail-on", "never"], "--fail-on: expected error, warning, info, not never"],
    [["--nginx", "new"], "--nginx: expected a version such as 1.26, not new"],
    [["--sluice", "8000"], "--sluice: expected HOST:PORT or unix:/PATH, not 8000"],
    [["--map", "/etc"], "--map: expected FROM=TO, not /etc"],
    [["--stream", "events"], "--stream: expected a path such as /events"],
    [["--heartbeat", "often"], "--heartbeat: expected a time such as 15s"],
    [["--dry-run"], "--dry-run needs --fix"],
    [["--fixx"], "unknown flag --fixx; did you mean --fix?"],
  ])("a wrong flag: %j", async (args, message) => {
    const cwd = directoryOf({ "site.conf": SITE });
    const { code, stdout, stderr } = await runSluice(["nginx", "lint", "site.conf", ...args], { cwd });
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: "",
      stderr: `sluice: ${message}\nTry sluice nginx lint --help.\n`,
    });
  });
});
