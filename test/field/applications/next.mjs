import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import next from "next";
import { partsOf } from "../parts.mjs";
import { STYLE, visit } from "../visit.mjs";

const DIRECTORY = new URL("../next", import.meta.url).pathname;
const CLI = new URL("../node_modules/next/dist/bin/next", import.meta.url).pathname;

export const label = "Next.js";
export const checks = visit;

export async function backend(script) {
  process.env.NEXT_TELEMETRY_DISABLED = "1";
  process.env.NODE_ENV = "production";
  mkdirSync(`${DIRECTORY}/public`, { recursive: true });
  writeFileSync(`${DIRECTORY}/public/style.css`, STYLE);
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "build", DIRECTORY], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stdout + stderr);
  globalThis.nextParts = () => partsOf(script);
  const app = next({ dir: DIRECTORY, dev: false });
  await app.prepare();
  return createServer(app.getRequestHandler());
}
