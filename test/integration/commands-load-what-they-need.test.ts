import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { directoryOf, ROOT, START_MS, startSluice } from "../support/sluice-process.ts";

/**
 * Each package that a command loads without need costs 20 to 150 ms of CPU at every call. The tests count modules and
 * measure no time, because any time limit fails on a busy machine.
 */

/** Writes the URL of each module that the process resolves into the file of that variable. */
const LOADER = `
import { appendFileSync } from "node:fs";
export async function resolve(specifier, context, next) {
  const resolved = await next(specifier, context);
  appendFileSync(process.env.MODULE_LIST, resolved.url + "\\n");
  return resolved;
}`;
const script = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;
/** CommonJS modules are not resolved by the loader; the cache of `require` has them when the process ends. */
const PRELOAD = script(`
import { appendFileSync } from "node:fs";
import { createRequire, register } from "node:module";
register(${JSON.stringify(script(LOADER))});
process.on("exit", () => {
  const required = Object.keys(createRequire("file:///").cache);
  appendFileSync(process.env.MODULE_LIST, required.map((path) => "file://" + path + "\\n").join(""));
});`);

/** Returns the packages that the command loads, and the number of our own modules; ends one that serves. */
async function loadedBy(args: readonly string[], files?: Readonly<Record<string, string>>) {
  const list = join(directoryOf({ "modules.txt": "" }), "modules.txt");
  const env = { NODE_OPTIONS: `--import=${PRELOAD}`, MODULE_LIST: list };
  const command = startSluice(args, { env, ...(files !== undefined && { cwd: directoryOf(files) }) });
  if (files !== undefined) {
    const isReady = () => command.text().includes("ready");
    await eventually(isReady, "the log line of ready", { timeoutMs: START_MS });
    command.kill("SIGTERM");
  }
  const { code, stderr } = await command.ended;
  const urls = new Set(readFileSync(list, "utf8").split("\n"));
  const packages = [...urls].flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []);
  const own = [...urls].filter((url) => url.startsWith(`file://${join(ROOT, "dist")}/`)).length;
  return { code, stderr, packages: [...new Set(packages)].toSorted(), own };
}

test.each([
  ["--version", 12],
  ["--help", 12],
  ["serve --help", 20],
  ["serve --version", 20],
  ["check --help", 20],
  ["demo --help", 20],
  ["schema --help", 20],
  ["nginx --help", 20],
  ["nginx generate --help", 20],
  ["nginx import --help", 20],
  ["probe --help", 80],
  ["sign --help", 40],
  ["nginx lint --help", 100],
  ["nginx lint --nginx 1.26 docker/nginx/recommended.conf.template", 100],
  ["sign http://127.0.0.1:1/ --key k --secret s", 40],
])("%s loads no package, and at most %i modules", async (line, most) => {
  const { own, ...rest } = await loadedBy(line.split(" "));
  expect(rest).toEqual({ code: 0, stderr: "", packages: [] });
  expect(own).toBeGreaterThan(0);
  expect(own).toBeLessThanOrEqual(most);
});

test("a wrong flag of serve is refused before the gateway is loaded", async () => {
  const { code, packages, own } = await loadedBy(["serve", "--lisen", "1"]);
  expect({ code, packages }).toEqual({ code: 2, packages: [] });
  expect(own).toBeLessThanOrEqual(20);
});

test("check loads the packages of the configuration alone", async () => {
  const { code, packages } = await loadedBy(["check"]);
  expect({ code, packages }).toEqual({ code: 0, packages: ["yaml", "zod"] });
});

test("control: the list contains the packages that serve loads", async () => {
  const { code, packages } = await loadedBy(["serve", "--config", "nowhere"]);
  expect(code).toBe(2);
  expect(packages).toEqual(expect.arrayContaining(["pino", "prom-client", "yaml", "zod"]));
});

const serving = (server: string) => ({
  "config/sluice.yaml": `listen: 127.0.0.1:0\nadmin: false\n${server}`,
  "config/routes/main.yaml": "match: { path: /* }\nmock: { body: x }\n",
});

test.each([
  ["OpenTelemetry", "@opentelemetry/sdk-trace", "tracing: { otlp: http://127.0.0.1:4318 }\n"],
  ["ioredis", "ioredis", "redis: { url: redis://127.0.0.1:1 }\n"],
  ["pino-pretty", "pino-pretty", "log: { format: pretty }\n"],
])("serve loads %s only if the configuration needs it", async (_name, name, server) => {
  const { code, packages } = await loadedBy(["serve"], serving(""));
  expect({ code, isLoaded: packages.includes(name) }).toEqual({ code: 0, isLoaded: false });
  const needed = await loadedBy(["serve"], serving(server));
  expect({ code: needed.code, isLoaded: needed.packages.includes(name) }).toEqual({
    code: 0,
    isLoaded: true,
  });
});
