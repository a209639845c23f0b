import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { run } from "../support/command.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const CONSUMERS = new URL("../support/embedding", import.meta.url).pathname;

let project: string;

/** A project that has the packed tarball installed, with the dependencies that are installed here. */
beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), "sluice-embedding-"));
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", project];
  const [{ filename }] = JSON.parse(await run("npm", pack, { cwd: ROOT })) as [{ filename: string }];
  const installed = join(project, "node_modules/sluice");
  mkdirSync(installed, { recursive: true });
  await run("tar", ["-xzf", join(project, filename), "-C", installed, "--strip-components=1"]);
  symlinkSync(join(ROOT, "node_modules"), join(installed, "node_modules"));
  mkdirSync(join(project, "node_modules/@types"));
  symlinkSync(join(ROOT, "node_modules/@types/node"), join(project, "node_modules/@types/node"));
  cpSync(CONSUMERS, project, { recursive: true });
  return () => rmSync(project, { recursive: true, force: true });
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
