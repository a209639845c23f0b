import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VITEST = join(createRequire(import.meta.url).resolve("vitest/package.json"), "../vitest.mjs");
const REPORTER = new URL("reporter.mjs", import.meta.url).pathname;

/** Runs Vitest in a process of its own, and returns what the reporter wrote; undefined without a result. */
export function runVitest({ root, config }, args) {
  const directory = mkdtempSync(join(tmpdir(), "sluice-test-"));
  const result = join(directory, "result.json");
  const words = ["run", `--config=${config}`, "--reporter=default", `--reporter=${REPORTER}`, ...args];
  try {
    const { status } = spawnSync(process.execPath, [VITEST, ...words], {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, RUN_RESULT: result },
    });
    if (!existsSync(result)) return undefined;
    return { ...JSON.parse(readFileSync(result, "utf8")), status };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
