import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { run } from "../support/command.ts";
import { installPackage } from "../support/installed-package.ts";

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
    ":\ndata: tick\n\n",
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

/** What a module of the project prints. */
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
