import { readdirSync, readFileSync } from "node:fs";
import { afterAll, expect, test, vi } from "vitest";
import type { ConfigurationFiles } from "../../../src/nginx/files.ts";
import type { LintOptions } from "../../../src/nginx/lint/options.ts";
import { type Random, randomFrom, spoiled } from "../../support/random-bytes.ts";

// A separate module instance: after some slow expressions lint skips all such expressions until its process ends.
vi.resetModules();
const { FileFault } = await import("../../../src/nginx/files.ts");
const { fixSource } = await import("../../../src/nginx/lint/fix.ts");
const { PatchedFiles } = await import("../../../src/nginx/lint/patch.ts");
const { lint } = await import("../../../src/nginx/lint/result.ts");
const { readConfiguration } = await import("../../../src/nginx/reader.ts");
afterAll(() => void vi.resetModules());

const CASES = Number(process.env["FUZZ_CASES"] ?? 3_000);
const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
/** The longest time of one case, on a machine that may stall for a second. Milliseconds. */
const MOST_MS = 5_000;
/** Only every so many cases are also fixed, because a fix reads the configuration many times. */
const FIXED_ONE_IN = 20;

const RULES = new URL("rules/", import.meta.url).pathname;
const SEEDS = readdirSync(RULES).flatMap((rule) =>
  ["bad", "good"].map((name) => readFileSync(`${RULES}${rule}/${name}.conf`)),
);

const PIECES = [
  "{",
  "}",
  ";",
  '"',
  "'",
  "\\",
  "$",
  "${",
  "#",
  "# sluice-ignore: response-buffered\n",
  "include n.conf;",
  "include *.conf;",
  "http {",
  "server {",
  "location ~ (a+)+$ {",
  "location ^~ /events/ {",
  "if ($request_method = OPTIONS) {",
  "limit_except GET {",
  "upstream b {",
  "map $http_upgrade $connection_upgrade {",
  "'' close;",
  "content_by_lua_block { ngx.say('}') }",
  "proxy_pass http://b/;",
  "proxy_pass http://$host$uri;",
  "proxy_pass unix:/x:/y;",
  "fastcgi_pass a:1;",
  "proxy_set_header Host",
  "add_header X-A b always;",
  "proxy_read_timeout 99999999999999999999y;",
  "proxy_buffers 1 99999999999g;",
  "listen [::]:443 ssl http2;",
  "error_page 502 = @x;",
  "{{ a }}",
  "<% b %>",
  "\ufeff",
  "é",
];

function mutated(random: Random): Buffer {
  let text = random.one(SEEDS).toString("latin1");
  if (random.chance(0.3)) text += random.one(SEEDS).toString("latin1");
  for (let left = random.upTo(4); left > 0; left -= 1) {
    const at = random.upTo(text.length);
    const piece = Buffer.from(random.one(PIECES)).toString("latin1");
    text = text.slice(0, at) + piece + text.slice(random.chance(0.5) ? at : at + random.upTo(40));
  }
  const bytes = Buffer.from(text, "latin1");
  return random.chance(0.5) ? spoiled(bytes, random) : bytes;
}

/** One file under every name, so that includes lead back to it. */
const filesOf = (bytes: Buffer): ConfigurationFiles => ({
  isWritable: true,
  read: () => bytes,
  glob: () => ["n.conf", "other.conf"],
  shownPath: (path) => path,
});

function optionsFrom(random: Random): LintOptions {
  const listener = {
    address: "127.0.0.1:9000",
    isWildcard: random.chance(0.5),
    hasProxyProtocol: false,
    hasTls: false,
  };
  return {
    version: random.one([
      [1, 18, 0],
      [1, 22, 1],
      [1, 31, 5],
    ]),
    sluice: {
      listeners: random.chance(0.5) ? [listener] : [],
      routes: random.chance(0.5)
        ? [{ name: "r", path: "/events/*", hasWebSocket: true, hasCors: true, heartbeatMs: undefined }]
        : undefined,
      trustedProxies: undefined,
    },
    streams: random.chance(0.3) ? ["/events", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaa!"] : [],
    heartbeatMs: undefined,
    only: undefined,
    off: new Set(),
  };
}

test(`any bytes lead to findings or a clear error: ${CASES} cases of seed ${SEED}`, {
  timeout: 3_600_000,
}, () => {
  const random = randomFrom(SEED);
  for (let at = 0; at < CASES; at += 1) {
    const bytes = mutated(random);
    const options = optionsFrom(random);
    const isFixed = random.upTo(FIXED_ONE_IN - 1) === 0;
    const startedAt = performance.now();
    try {
      check(bytes, options, isFixed);
    } catch (error) {
      if (!(error instanceof FileFault))
        throw new Error(`case ${at}: ${JSON.stringify(bytes.toString("latin1"))}`, { cause: error });
    }
    const ms = performance.now() - startedAt;
    if (ms > MOST_MS)
      throw new Error(`case ${at} took ${ms} ms: ${JSON.stringify(bytes.toString("latin1"))}`);
  }
});

const SCOPE = { mayWrite: () => true, fixesPossible: true };

function check(bytes: Buffer, options: LintOptions, isFixed: boolean): void {
  const files = filesOf(bytes);
  const configuration = readConfiguration("n.conf", files);
  for (const file of configuration.files) expect(file.encode(file.text)).toEqual(bytes);
  for (const { at, severity, message } of lint(configuration, options).findings) {
    const isInside = at.start >= 0 && at.start <= at.end && at.end <= at.file.text.length;
    if (!isInside || severity.length === 0 || message.length === 0)
      throw new Error(`a finding at ${at.start}`);
  }
  if (!isFixed) return;
  const source = { paths: ["n.conf"], files, root: undefined };
  const fixed = fixSource(source, options, SCOPE);
  // After a fix nothing is left to fix.
  const patches = new Map(fixed.files.map(({ path, after }) => [path, after]));
  const patchedFiles = new PatchedFiles(files, patches);
  const again = fixSource({ ...source, files: patchedFiles }, options, SCOPE);
  expect(again.files.map(({ after }) => after.toString("latin1"))).toEqual([]);
}
