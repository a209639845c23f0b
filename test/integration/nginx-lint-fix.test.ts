import { spawnSync } from "node:child_process";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runSluice } from "../support/command-line.ts";
import { directoryOf } from "../support/sluice-process.ts";

const lint = (cwd: string, ...args: string[]) =>
  runSluice(["nginx", "lint", "--nginx", "1.22", "--fix", ...args], { cwd });

const SITE = `server {
    listen 80;

    # The stream.
    location /events {
        proxy_pass http://127.0.0.1:9000; # ours
        chunked_transfer_encoding off;
    }
    location /other { proxy_pass http://127.0.0.1:9001; }
}
`;
const MENDED = `server {
    listen 80;

    # The stream.
    location /events {
        proxy_pass http://127.0.0.1:9000; # ours
        proxy_http_version 1.1;
        proxy_read_timeout 1h;
        proxy_buffering off;
        proxy_set_header Host $http_host;
    }
    location /other { proxy_pass http://127.0.0.1:9001; }
}
`;

/** An nginx that accepts the configuration before the fix and refuses it afterwards. */
const REFUSING = '#!/bin/sh\nfor last; do :; done\n! grep -q "proxy_buffering off" "$last"\n';

describe("--fix --dry-run", () => {
  test("prints a unified diff that git applies, and writes nothing", async () => {
    const cwd = directoryOf({ "site.conf": SITE });
    const { code, stdout } = await lint(cwd, "--dry-run", "site.conf");
    expect(code).toBe(1);
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe(SITE);
    expect(stdout).toMatch(/^--- site\.conf\n\+\+\+ site\.conf\n@@ -4,7 \+4,10 @@\n/);
    const patched = spawnSync("git", ["apply", "-p0", "-"], { cwd, input: stdout, encoding: "utf8" });
    expect(patched).toMatchObject({ status: 0 });
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe(MENDED);
  });

  test("prints nothing if nothing is left to fix", async () => {
    const cwd = directoryOf({ "site.conf": MENDED });
    expect(await lint(cwd, "--dry-run", "site.conf")).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("keeps the end of a file without a final line break", async () => {
    const cwd = directoryOf({ "site.conf": SITE.trimEnd() });
    const { stdout } = await lint(cwd, "--dry-run", "site.conf");
    const patched = spawnSync("git", ["apply", "-p0", "-"], { cwd, input: stdout, encoding: "utf8" });
    expect(patched).toMatchObject({ status: 0 });
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe(MENDED.trimEnd());
  });
});

describe("--fix", () => {
  test("changes only what it reports, reports the rest, and needs only one run", async () => {
    const cwd = directoryOf({ "site.conf": SITE });
    chmodSync(join(cwd, "site.conf"), 0o640);
    const { code, stdout, stderr } = await lint(cwd, "site.conf");
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe(MENDED);
    expect(statSync(join(cwd, "site.conf")).mode & 0o777).toBe(0o640);
    expect(readdirSync(cwd)).toEqual(["site.conf"]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining("info client-address-lost"),
    });
    expect(stderr).toContain(
      "fixed site.conf: http10-upstream, read-timeout-cuts-silence, response-buffered, host-lost, chunked-off\n",
    );
    expect((await lint(cwd, "site.conf")).stderr).not.toContain("fixed ");
  });

  test("keeps line ends and bytes that are not UTF-8", async () => {
    const cwd = directoryOf({ "site.conf": "" });
    const bytes = Buffer.from(
      SITE.replaceAll("\n", "\r\n").replace("The stream", "The \xe9v\xe9nements"),
      "latin1",
    );
    writeFileSync(join(cwd, "site.conf"), bytes);
    await lint(cwd, "site.conf");
    const expected = MENDED.replaceAll("\n", "\r\n").replace("The stream", "The \xe9v\xe9nements");
    expect(readFileSync(join(cwd, "site.conf")).toString("latin1")).toBe(expected);
  });

  test("copies the whole outer list into a location that overrides it", async () => {
    const site = [
      "server {",
      "    listen 80;",
      "    proxy_set_header Host $http_host;",
      '    proxy_set_header X-Note "a; b";',
      "    location /events {",
      "        proxy_pass http://127.0.0.1:9000;",
      "        proxy_set_header X-Forwarded-For $remote_addr;",
      "    }",
      "}",
      "",
    ];
    const cwd = directoryOf({ "site.conf": site.join("\n") });
    await lint(cwd, "site.conf", "--only", "request-fields-lost");
    const lines = [
      ...site.slice(0, 7),
      "        proxy_set_header Host $http_host;",
      '        proxy_set_header X-Note "a; b";',
    ];
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe([...lines, ...site.slice(7)].join("\n"));
  });

  test("fixes possible streams only with --all", async () => {
    const site = "server {\n    location / {\n        proxy_pass http://127.0.0.1:9000;\n    }\n}\n";
    const cwd = directoryOf({ "site.conf": site });
    await lint(cwd, "site.conf");
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe(site);
    await lint(cwd, "site.conf", "--all");
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toContain("proxy_buffering off;");
  });

  test("never writes a file outside the paths", async () => {
    const cwd = directoryOf({
      "etc/nginx.conf": "events {}\nhttp { include ../lib/*.conf; }\n",
      "lib/site.conf": SITE,
    });
    const { stdout } = await lint(cwd, "etc/nginx.conf");
    expect(stdout).toContain("chunked-off");
    expect(readFileSync(join(cwd, "lib/site.conf"), "utf8")).toBe(SITE);
  });

  test("fixes no configuration with a syntax error", async () => {
    const broken = `${SITE}server { listen 81 }\n`;
    const cwd = directoryOf({ "site.conf": broken });
    const { code } = await lint(cwd, "site.conf");
    expect(code).toBe(2);
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe(broken);
  });

  test("writes nothing if nginx -t refuses the result but accepted the original", async () => {
    const whole = "events {}\nhttp {\n    include site.conf;\n}\n";
    const cwd = directoryOf({ "nginx.conf": whole, "site.conf": SITE, "bin/nginx": REFUSING });
    chmodSync(join(cwd, "bin/nginx"), 0o755);
    const env = { PATH: `${join(cwd, "bin")}:${process.env["PATH"]}` };
    const args = ["nginx", "lint", "--nginx", "1.22", "--fix", "nginx.conf"];
    expect(await runSluice(args, { cwd, env })).toEqual({
      code: 2,
      stdout: "",
      stderr: "sluice nginx lint: nginx -t refuses the fixed configuration, so nothing was written\n",
    });
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe(SITE);
  });

  test("writes to the directories of --map", async () => {
    const cwd = directoryOf({
      "etc/nginx.conf": "events {}\nhttp { include /etc/nginx/site.conf; }\n",
      "etc/site.conf": SITE,
    });
    await lint(cwd, "/etc/nginx/nginx.conf", "--map", "/etc/nginx=./etc");
    expect(readFileSync(join(cwd, "etc/site.conf"), "utf8")).toBe(MENDED);
  });

  test("leaves no temporary file after the check with nginx", async () => {
    const cwd = directoryOf({
      "nginx.conf":
        "pid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n    access_log off;\n    include site.conf;\n}\n",
      "site.conf": SITE,
    });
    await lint(cwd, "nginx.conf");
    expect(readFileSync(join(cwd, "site.conf"), "utf8")).toBe(MENDED);
    expect(readdirSync(cwd).toSorted()).toEqual(["nginx.conf", "site.conf"]);
  });
});
