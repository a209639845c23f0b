import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { eventually } from "./eventually.ts";

const EXECUTABLE = process.env["CADDY_PATH"] ?? "/usr/bin/caddy";

/** Starts a real Caddy with these directives as its only site; stops it when the test ends. */
export async function startCaddy(
  directives: string,
): Promise<{ readonly port: number; stop(): Promise<void> }> {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`no Caddy at ${EXECUTABLE}: install the package caddy, or set CADDY_PATH`);
  }
  const directory = await mkdtemp(join(tmpdir(), "sluice-caddy-"));
  const port = await refusedPort();
  const file = join(directory, "Caddyfile");
  await writeFile(file, `{\n admin off\n auto_https off\n}\nhttp://127.0.0.1:${port} {\n${directives}\n}\n`);
  const child = spawn(EXECUTABLE, ["run", "--config", file, "--adapter", "caddyfile"], {
    stdio: "ignore",
    // All of Caddy's files stay in this directory.
    env: { ...process.env, HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory },
  });
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    }
    await rm(directory, { recursive: true, force: true });
  };
  afterTest(stop);
  const listens = () => fetch(`http://127.0.0.1:${port}/`, { method: "HEAD" }).then(() => true);
  await eventually(listens, "Caddy to listen", { timeoutMs: 15_000, everyMs: 50 });
  return { port, stop };
}
