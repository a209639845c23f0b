import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { levelsOf } from "../../../src/nginx/configuration.ts";
import { DumpFiles, splitDump } from "../../../src/nginx/dump.ts";
import { DiskFiles } from "../../../src/nginx/files.ts";
import { matchesGlob } from "../../../src/nginx/glob.ts";
import { readConfiguration } from "../../../src/nginx/reader.ts";
import { configurationOf } from "./configurations.ts";

const names = (levels: readonly { readonly directives: readonly { readonly name: string }[] }[]) =>
  levels.map(({ directives }) => directives.map(({ name }) => name));

/** Creates a directory with these files; removes it after the test. */
function directoryOf(files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(join(tmpdir(), "sluice-nginx-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, ".."), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

describe("includes", () => {
  test("are relative to the main file's directory, not to that of the including file", () => {
    const read = configurationOf({
      "/etc/nginx/nginx.conf": "events {} http { include sites/a.conf; }",
      "/etc/nginx/sites/a.conf": "server { include snippets/b.conf; }",
      "/etc/nginx/snippets/b.conf": "listen 80;",
    });
    expect(read.problems).toEqual([]);
    expect(names(levelsOf(read, "server"))).toEqual([["listen"]]);
  });

  test("of a pattern are sorted, omit hidden files, and may be empty", () => {
    const directory = directoryOf({
      "nginx.conf": "events {} http { include conf.d/*.conf; include none/*; }",
      "conf.d/b.conf": "gzip on;",
      "conf.d/a.conf": "sendfile on;",
      "conf.d/.c.conf": "tcp_nopush on;",
      "conf.d/d.txt": "nonsense",
    });
    const read = readConfiguration(join(directory, "nginx.conf"), new DiskFiles());
    expect(read.problems).toEqual([]);
    expect(names(levelsOf(read, "http"))).toEqual([["sendfile", "gzip"]]);
  });

  test("of another machine's tree are found with --map", () => {
    const directory = directoryOf({
      "nginx.conf": "events {} http { include /etc/nginx/conf.d/*.conf; }",
      "conf.d/a.conf": "gzip on;",
    });
    const files = new DiskFiles([{ from: "/etc/nginx", to: directory }]);
    const read = readConfiguration("/etc/nginx/nginx.conf", files);
    expect(names(levelsOf(read, "http"))).toEqual([["gzip"]]);
    expect(read.files.map(({ path }) => path)).toContain(join(directory, "conf.d/a.conf"));
  });

  test("that are missing are reported and make the level's values uncertain", () => {
    const read = configurationOf({ "/n.conf": "events {} http { include x.conf; }" });
    expect(read.problems).toMatchObject([{ kind: "missing", message: "/x.conf is not in the dump" }]);
    expect(levelsOf(read, "http")[0]?.unread).toHaveLength(1);
  });

  test("in a circle are reported, and reading ends", () => {
    const read = configurationOf({
      "/n.conf": "events {} http { include a.conf; }",
      "/a.conf": "include b.conf;",
      "/b.conf": "gzip on; include a.conf;",
    });
    expect(read.problems).toMatchObject([{ kind: "unreadable", message: "a.conf includes itself" }]);
    expect(names(levelsOf(read, "http"))).toEqual([["gzip"]]);
  });

  test("of the same file count at each place", () => {
    const read = configurationOf({
      "/n.conf": "events {} http { server { include a.conf; } server { include a.conf; } }",
      "/a.conf": "location / { proxy_pass http://b; }",
    });
    expect(levelsOf(read, "location").map(({ outer }) => outer?.kind)).toEqual(["server", "server"]);
    expect(read.files).toHaveLength(2);
  });
});

describe("bounds", () => {
  test("of files stop inclusions that double at each step", () => {
    const files: Record<string, string> = { "/n.conf": "events {} http { include 0.conf; }" };
    for (let at = 0; at < 40; at += 1)
      files[`/${at}.conf`] = `include ${at + 1}.conf;include ${at + 1}.conf;`;
    files["/40.conf"] = "gzip on;";
    const { problems } = configurationOf(files);
    expect(problems.at(-1)?.message).toBe("more than 10000 files; reading stops here");
  });

  test("of depth stop a long chain of includes", () => {
    const files: Record<string, string> = { "/n.conf": "events {} http { include 0.conf; }" };
    for (let at = 0; at < 100; at += 1) files[`/${at}.conf`] = `include ${at + 1}.conf;`;
    expect(configurationOf(files).problems.at(-1)?.message).toBe("more than 50 files include one another");
  });

  test("of bytes count a file at each inclusion", () => {
    const big = `${"gzip on; ".repeat(100_000)}`;
    const files = { "/n.conf": `events {} http { ${"include big.conf; ".repeat(30)} }`, "/big.conf": big };
    const { problems } = configurationOf(files);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.every(({ message }) => /limit leaves|500000 directives/.test(message))).toBe(true);
  });

  test("of bytes refuse a main file that is too big", () => {
    const files = new DumpFiles(new Map([["/n.conf", " ".repeat(11 * 1024 * 1024)]]));
    expect(() => readConfiguration("/n.conf", files)).toThrow(
      "has more bytes than the limit leaves (10485760)",
    );
  });
});

describe("a dump of nginx -T", () => {
  const dump = [
    "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok",
    "# configuration file /etc/nginx/nginx.conf:",
    "events {}",
    "http { include conf.d/*.conf; }",
    "",
    "# configuration file /etc/nginx/conf.d/a.conf:",
    "server {",
    "  listen 80;",
    "}",
    "",
  ].join("\n");

  test("is split into its files, with their own line numbers", () => {
    const files = new DumpFiles(splitDump(dump) ?? new Map());
    const read = readConfiguration("/etc/nginx/nginx.conf", files);
    expect(read.problems).toEqual([]);
    expect(levelsOf(read, "server")[0]?.own("listen")[0]?.at).toBe("/etc/nginx/conf.d/a.conf:2");
    expect(read.files.every(({ isWritable }) => !isWritable)).toBe(true);
  });

  test("differs from a file that only contains such a comment", () => {
    expect(splitDump("events {}\n# configuration file a:\n")).toBeUndefined();
  });
});

describe("fragments", () => {
  test.each([
    ["server { location / {} }", "http"],
    ["upstream b { server a; } map $a $b { default 1; }", "http"],
    ["location / { proxy_pass http://b; }", "server"],
    ["listen 80;", "server"],
    ["proxy_set_header Host $host; proxy_buffering off;", "location"],
    ["server_names_hash_bucket_size 64;", "http"],
    ["server { listen 1; proxy_pass b; }", "stream"],
    ["server 10.0.0.1:80; keepalive 8;", "upstream"],
  ])("%s belongs to %s", (text, kind) => {
    const read = configurationOf({ "/f.conf": text });
    expect(read.isWhole).toBe(false);
    expect([...read.main.inward()].find(({ directives }) => directives.length > 0)?.kind).toBe(kind);
  });

  test("a file with http is a whole configuration", () => {
    expect(configurationOf({ "/f.conf": "events {} http {}" }).isWhole).toBe(true);
  });
});

describe("templates", () => {
  test.each([
    "listen {{ port }};",
    "{% if a %} listen 80; {% endif %}",
    "<% if a %>\nlisten 80;",
    "%include%\nlisten 80;",
  ])("%j is called one", (text) => {
    expect(configurationOf({ "/f.conf": text }).problems).toMatchObject([{ kind: "template" }]);
  });

  test("with ${NAME} are read, the placeholder as a word", () => {
    const read = configurationOf({ "/f.conf": "server { listen ${PORT}; }" });
    expect(read.problems).toEqual([]);
    expect(levelsOf(read, "server")[0]?.last("listen")?.hasPlaceholder).toBe(true);
  });
});

test.each([
  ["a.conf", "*.conf", true],
  [".a.conf", "*.conf", false],
  ["ab", "a?", true],
  ["ab", "[a-c][!c]", true],
  ["ac", "[a-c][!c]", false],
  ["a[b", "a[b", true],
  ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", `${"a*".repeat(30)}c`, false],
])("%s against %s: %s", (name, pattern, expected) => {
  expect(matchesGlob(name, pattern)).toBe(expected);
});
