import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runSluice } from "../support/command-line.ts";
import { directoryOf } from "../support/sluice-process.ts";

const SITE = `server {
    listen 80;
    server_name app.example.com;
    location /events {
        proxy_pass http://127.0.0.1:9000;
        proxy_set_header Host $host;
        proxy_cache streams;
    }
}
`;
const ROUTE = `# nginx: from site.conf:4 location /events {}
# nginx: site.conf:4 location /events {}: nginx also matches longer names such as /eventsy; the route matches /events and the paths below it
# nginx: site.conf:7 proxy_cache streams: sluice has no cache; routes with shared keep a history of the stream
match:
  host: app.example.com
  path: /events/*
upstream: http://127.0.0.1:9000
`;

const run = (cwd: string, args: readonly string[] = ["site.conf"]) =>
  runSluice(["nginx", "import", ...args], { cwd });

describe("the route files", () => {
  test("are written, and the notes go to standard error", async () => {
    const cwd = directoryOf({ "site.conf": SITE });
    const { code, stdout, stderr } = await run(cwd, ["site.conf", "--out", "new/config"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(readFileSync(join(cwd, "new/config/routes/events.yaml"), "utf8")).toBe(ROUTE);
    expect(stderr).toBe(
      [
        "site.conf:1 server {}: not imported: settings of nginx (see sluice.yaml for sluice's): listen",
        ...ROUTE.split("\n")
          .slice(1, 3)
          .map((line) => line.slice("# nginx: ".length)),
        "wrote new/config/routes/events.yaml",
        "",
      ].join("\n"),
    );
    const check = await runSluice(["check", "--config", "new/config"], { cwd });
    expect(check).toMatchObject({ code: 0, stdout: expect.stringContaining("app.example.com  /events/*") });
  });

  test("are printed and not written with --dry-run", async () => {
    const cwd = directoryOf({ "site.conf": SITE });
    const { code, stdout } = await run(cwd, ["site.conf", "--dry-run"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `# config/routes/events.yaml\n${ROUTE}\n` });
    expect(readdirSync(cwd)).toEqual(["site.conf"]);
  });

  test("of the same name are replaced only with --force", async () => {
    const cwd = directoryOf({ "site.conf": SITE, "config/routes/events.yaml": "# mine\n" });
    const { code, stderr } = await run(cwd);
    expect(code).toBe(2);
    expect(stderr).toContain(
      "config/routes/events.yaml exists, so nothing was written; use --force to replace it",
    );
    expect(readFileSync(join(cwd, "config/routes/events.yaml"), "utf8")).toBe("# mine\n");
    expect((await run(cwd, ["site.conf", "--force"])).code).toBe(0);
    expect(readFileSync(join(cwd, "config/routes/events.yaml"), "utf8")).toBe(ROUTE);
  });

  test("are checked together with the existing configuration before anything is written", async () => {
    const cwd = directoryOf({
      "site.conf": SITE,
      "config/sluice.yaml": "listen: 127.0.0.1:9000\n",
      "config/routes/other.yaml": "match: { path: /other }\nupstream: http://127.0.0.1:9001\n",
    });
    const { code, stderr } = await run(cwd);
    expect(code).toBe(2);
    expect(stderr).toContain("the routes are not valid, so nothing was written:");
    expect(stderr).toContain(
      "config/routes/events.yaml:7:11 upstream: http://127.0.0.1:9000 is an address that this gateway listens on",
    );
    expect(existsSync(join(cwd, "config/routes/events.yaml"))).toBe(false);
  });

  test("are those of the named server", async () => {
    const other = SITE.replace("app.example.com", "other.example.com").replace("/events", "/other");
    const cwd = directoryOf({ "site.conf": SITE + other });
    const { code, stdout, stderr } = await run(cwd, [
      "site.conf",
      "--server",
      "other.example.com",
      "--dry-run",
    ]);
    expect(code).toBe(0);
    expect(stdout).toContain("host: other.example.com");
    expect(stdout + stderr).not.toContain("app.example.com");
    const wrong = await run(cwd, ["site.conf", "--server", "othr.example.com"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("unknown server_name othr.example.com; did you mean other.example.com?");
  });
});

describe("an import that fails ends with exit code 2 and a sentence", () => {
  test.each([
    [[], {}, "nginx import needs a FILE"],
    [["nowhere.conf"], {}, "nowhere.conf does not exist; name an nginx configuration"],
    [["."], { "README.md": "" }, "contains no nginx configuration"],
    [["site.conf"], { "site.conf": "server {\n  listen 80\n}\n" }, "site.conf:3:1: "],
    [["site.conf"], { "site.conf": "server { listen {{ port }}; }\n" }, "site.conf:1:17: this is a template"],
    [["site.conf"], { "site.conf": "server { root /var/www; }\n" }, "nothing could be imported"],
    [["site.conf", "--out", "site.conf"], { "site.conf": SITE }, "site.conf"],
  ] as const)("%j", async (args, files, message) => {
    const { code, stdout, stderr } = await run(directoryOf(files), args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(message);
  });
});

test("bytes of a file cannot control the terminal, and stay in comments", async () => {
  const cwd = directoryOf({
    "site.conf": `server { location /x/ { proxy_pass http://127.0.0.1:9000; sub_filter "a\nmatch: b\u001b[2J" c; } }\n`,
  });
  const { code, stdout, stderr } = await run(cwd, ["site.conf", "--dry-run"]);
  expect(code).toBe(0);
  expect(stdout + stderr).not.toContain("\u001b");
  expect(stdout.split("\n").filter((line) => line.startsWith("match: b"))).toEqual([]);
});
