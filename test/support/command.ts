import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

export interface CommandSetup {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** The bytes of its standard input, which then ends; without it, it has none. */
  readonly input?: string;
  /** SIGKILL follows after this time; a hanging program must not hang the tests. */
  readonly timeoutMs?: number;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  /** Both streams in the order of arrival. */
  readonly output: string;
}

const TAIL_CHARACTERS = 4000;

/** Runs a program to its end, with any exit code; throws if it cannot start or hangs. */
export function attempt(
  program: string,
  args: readonly string[],
  { env, cwd, input, timeoutMs = 300_000 }: CommandSetup = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
    // A program may end without reading its input.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
    let stdout = "";
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (code !== null) return resolve({ code, stdout, output });
      const spelled = [program, ...args].join(" ");
      return reject(new Error(`${spelled}: ended by ${signal}\n${output.slice(-TAIL_CHARACTERS)}`));
    });
  });
}

/** Runs a program that must succeed, and returns its standard output. */
export async function run(
  program: string,
  args: readonly string[],
  setup: CommandSetup = {},
): Promise<string> {
  const { code, stdout, output } = await attempt(program, args, setup);
  if (code === 0) return stdout;
  const spelled = [program, ...args].join(" ");
  throw new Error(`${spelled}: exit code ${code}\n${output.slice(-TAIL_CHARACTERS)}`);
}
