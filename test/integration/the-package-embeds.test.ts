import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { refusedPort } from "../support/backend.ts";
import { run } from "../support/command.ts";
import { eventually } from "../support/eventually.ts";
import { installPackage } from "../support/installed-package.ts";
import { blocksOf } from "../support/pages.ts";
import { START_MS } from "../support/sluice-process.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const CONSUMERS = new URL("../support/embedding", import.meta.url).pathname;

let project: string;

beforeAll(async () => {
  const installed = await installPackage();
  project = installed.project;
  mkdirSync(join(project, "node_modules/@types"), { recursive: true });
  symlinkSync(join(ROOT, "node_modules/@types/node"), join(project, "node_modules/@types/node"));
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

/** The programs of docs/embedding.md, by the name in their first line. */
const PROGRAMS = new Map(
  blocksOf("docs/embedding.md")
    .filter(({ language }) => language === "js")
    .map(({ text }) => [/^\/\/ (\S+)\n/.exec(text)?.[1] ?? "", text]),
);

describe("docs/embedding.md", () => {
  test("has a test for each of its programs", () => {
    expect([...PROGRAMS.keys()]).toEqual(["gateway.mjs", "files.mjs", "mistakes.mjs"]);
  });

  test.each(["gateway.mjs", "files.mjs"])("%s serves until SIGTERM", async (name) => {
    const port = await refusedPort();
    mkdirSync(join(project, "config/routes"), { recursive: true });
    writeFileSync(join(project, "config/sluice.yaml"), `listen: 127.0.0.1:${port}\nadmin: false\n`);
    writeFileSync(
      join(project, "config/routes/hello.yaml"),
      "match: { path: /hello }\nmock: { body: hello }\n",
    );
    const text = PROGRAMS.get(name)?.replace("127.0.0.1:8000", `127.0.0.1:${port}`) ?? "";
    writeFileSync(join(project, name), text);
    const program = spawn(process.execPath, [name], { cwd: project, stdio: ["ignore", "ignore", "inherit"] });
    const ended = once(program, "close");
    try {
      const body = async () => (await fetch(`http://127.0.0.1:${port}/hello`)).text();
      expect(await eventually(body, `${name} to serve`, { timeoutMs: START_MS })).toBe("hello");
    } finally {
      program.kill("SIGTERM");
    }
    expect(await ended).toEqual([0, null]);
  });

  test("mistakes.mjs prints each problem", async () => {
    writeFileSync(join(project, "mistakes.mjs"), PROGRAMS.get("mistakes.mjs") ?? "");
    const lines = (await run(process.execPath, ["mistakes.mjs"], { cwd: project })).trim().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain("config/routes/bad.yaml match.path");
  });
});
