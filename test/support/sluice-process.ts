import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterTest } from "./after-test.ts";
import { eventually } from "./eventually.ts";

export const ROOT = new URL("../..", import.meta.url).pathname;
/** A process starts within half a second, but on a busy machine it takes many. */
export const START_MS = 25_000;
const MAIN = join(ROOT, "dist/cli/main.js");

export interface SluiceSetup {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The command in front of node, such as `unshare` with its flags. */
  readonly under?: readonly string[];
  /** The command's file; by default that of this tree's dist. */
  readonly main?: string;
}

/** Starts the built command; kills it when the test ends, if it still runs. */
export function startSluice(
  args: readonly string[],
  { cwd = ROOT, env = {}, under = [], main = MAIN }: SluiceSetup = {},
) {
  if (!existsSync(main)) throw new Error("dist is missing: npm run build");
  const [program = process.execPath, ...words] = [...under, process.execPath, main, ...args];
  const child: ChildProcess = spawn(program, words, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const run = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    run.stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    run.stderr += text;
  });
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, ...run }));
  });
  afterTest(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const lines = () =>
    run.stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const logged = (msg: string, index = 0) =>
    eventually(
      () => lines().filter((line) => line["msg"] === msg)[index],
      `log line ${index + 1} of ${msg}`,
      { timeoutMs: START_MS },
    ) as Promise<Record<string, unknown>>;
  return {
    pid: child.pid ?? 0,
    lines,
    text: () => run.stdout,
    ended,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    /** Waits for the `index`th log line with that text. */
    logged,
    /** Returns the port of the first TCP listener. */
    port: async () => Number(/:(\d+)$/.exec(String((await logged("listening"))["address"]))?.[1]),
  };
}

/** Writes these files into a directory. */
export function writeFiles(root: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

/** Creates a directory with these files; removes it when the test ends. */
export function directoryOf(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "sluice-cli-"));
  afterTest(() => rmSync(root, { recursive: true, force: true }));
  writeFiles(root, files);
  return root;
}
