import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Backend, refusedPort, startBackend } from "../support/backend.ts";
import { run } from "../support/command.ts";
import { eventually } from "../support/eventually.ts";
import { installPackage } from "../support/installed-package.ts";
import { blocksOf } from "../support/pages.ts";
import { START_MS } from "../support/sluice-process.ts";
import { openStream } from "../support/sse-client.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const CONSUMERS = new URL("../support/embedding", import.meta.url).pathname;

let project: string;

beforeAll(async () => {
  const installed = await installPackage();
  project = installed.project;
  mkdirSync(join(project, "node_modules/@types"), { recursive: true });
  symlinkSync(join(ROOT, "node_modules/@types/node"), join(project, "node_modules/@types/node"));
  for (const name of ["express", "fastify", "hono", "@hono"])
    symlinkSync(join(ROOT, "node_modules", name), join(project, "node_modules", name));
  cpSync(CONSUMERS, project, { recursive: true });
  return installed.remove;
});

test("a JavaScript program listens, reloads, closes, and is told every problem of a configuration", async () => {
  const seen: unknown = JSON.parse(await run(process.execPath, ["consumer.mjs"], { cwd: project }));
  expect(seen).toEqual([
    "one",
    "data: tick\n\n",
    "two",
    ["config/routes/bad.yaml match.path", "config/routes/bad.yaml upstream"],
  ]);
});

test("a TypeScript program compiles against the types, strictly", async () => {
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: "nodenext",
    target: "es2023",
    types: ["node"],
  };
  writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["consumer.ts"] }));
  await run(join(ROOT, "node_modules/.bin/tsc"), ["-p", project], { cwd: project });
});

/** Runs a module in the project and returns the JSON that it prints. */
async function printed(text: string): Promise<unknown> {
  writeFileSync(join(project, "probe.mjs"), text);
  return JSON.parse(await run(process.execPath, ["probe.mjs"], { cwd: project }));
}

test("exports are the gateway, the schemas and package.json, and nothing inside", async () => {
  const names = [
    "sluice",
    "sluice/package.json",
    "sluice/config/schema/route.json",
    "sluice/dist/cli/run.js",
  ];
  const resolved = await printed(`
    const found = (name) => { try { return import.meta.resolve(name); } catch (error) { return error.code; } };
    console.log(JSON.stringify(${JSON.stringify(names)}.map(found)));`);
  const inside = (path: string) => expect.stringMatching(new RegExp(`/node_modules/sluice/${path}$`));
  expect(resolved).toEqual([
    inside("dist/gateway/sluice\\.js"),
    inside("package\\.json"),
    inside("config/schema/route\\.json"),
    "ERR_PACKAGE_PATH_NOT_EXPORTED",
  ]);
});

/** Runs a program of the page while `use` uses it, and expects that it ends cleanly on SIGTERM. */
async function serving(name: string, use: (port: number) => Promise<void>, backend?: Backend): Promise<void> {
  const port = await refusedPort();
  const upstream = backend?.port ?? 9;
  const files = {
    "sluice.yaml": `listen: 127.0.0.1:${port}\nadmin: false\n`,
    "routes/hello.yaml": "match: { path: /hello }\nmock: { body: hello }\n",
    "routes/stream.yaml": `match: { path: /stream }\nupstream: http://127.0.0.1:${upstream}\n`,
  };
  mkdirSync(join(project, "config/routes"), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(project, "config", file), text);
  const text = (PROGRAMS.get(name) ?? "").replace(/\b8000\b/, `${port}`).replace(/\b8080\b/, `${upstream}`);
  writeFileSync(join(project, name), text);
  const program = spawn(process.execPath, [name], { cwd: project, stdio: ["ignore", "ignore", "inherit"] });
  const ended = once(program, "close");
  try {
    await use(port);
  } finally {
    program.kill("SIGTERM");
  }
  expect(await ended).toEqual([0, null]);
}

/** The programs of docs/embedding.md, by the name in their first line. */
const PROGRAMS = new Map(
  blocksOf("docs/embedding.md")
    .filter(({ language }) => language === "js")
    .map(({ text }) => [/^\/\/ (\S+)\n/.exec(text)?.[1] ?? "", text]),
);

describe("docs/embedding.md", () => {
  test("has a test for each of its programs", () => {
    expect([...PROGRAMS.keys()]).toEqual([
      ...["gateway.mjs", "files.mjs", "server.mjs", "express.mjs", "fastify.mjs", "hono.mjs", "mistakes.mjs"],
    ]);
  });

  test.each(["gateway.mjs", "files.mjs"])("%s serves until SIGTERM", async (name) => {
    await serving(name, async (port) => {
      const body = async () => (await fetch(`http://127.0.0.1:${port}/hello`)).text();
      expect(await eventually(body, `${name} to serve`, { timeoutMs: START_MS })).toBe("hello");
    });
  });

  test.each(["server.mjs", "express.mjs", "fastify.mjs", "hono.mjs"])(
    "%s serves streams beside the application until SIGTERM",
    async (name) => {
      const backend = await startBackend();
      await serving(
        name,
        async (port) => {
          const own = async () => (await fetch(`http://127.0.0.1:${port}/own`)).text();
          expect(await eventually(own, `${name} to serve`, { timeoutMs: START_MS })).toBe("the application");
          const body = JSON.stringify({ question: "x".repeat(100_000) });
          const headers = { "Content-Type": "application/json" };
          const client = openStream(port, { path: "/stream", method: "POST", headers, body });
          const request = await backend.nextRequest();
          expect((await request.wholeBody()).toString()).toBe(body);
          request.openStream();
          for (const data of ["one", "two"]) {
            request.emit(`data: ${data}\n\n`);
            await client.received(`data: ${data}\n\n`);
          }
          client.leave();
          await request.connection.closed;
        },
        backend,
      );
    },
  );

  test("mistakes.mjs prints each problem", async () => {
    writeFileSync(join(project, "mistakes.mjs"), PROGRAMS.get("mistakes.mjs") ?? "");
    const lines = (await run(process.execPath, ["mistakes.mjs"], { cwd: project })).trim().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain("config/routes/bad.yaml match.path");
  });
});
