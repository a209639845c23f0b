import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { eventually } from "./eventually.ts";
import { canConnect, stopProcess } from "./server-process.ts";

const EXECUTABLE = process.env["HAPROXY_PATH"] ?? "/usr/sbin/haproxy";

/** Starts a real HAProxy that passes TCP on to `server`, an address and its options; returns its port. */
export async function startHaproxy(server: string): Promise<number> {
  return (await startHaproxyWith({ server, lines: ["mode tcp", "timeout client 60s", "timeout server 60s"] }))
    .port;
}

/** Starts a real HAProxy in front of `server`, with `lines` in its defaults. */
export async function startHaproxyWith({
  server,
  lines,
}: {
  readonly server: string;
  readonly lines: readonly string[];
}): Promise<{ readonly port: number; readonly stop: () => Promise<void> }> {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`no HAProxy at ${EXECUTABLE}: install the package haproxy, or set HAPROXY_PATH`);
  }
  const directory = await mkdtemp(join(tmpdir(), "sluice-haproxy-"));
  const port = await refusedPort();
  const text = [
    "global",
    "  maxconn 100",
    "defaults",
    "  timeout connect 5s",
    ...lines.map((line) => `  ${line}`),
    "listen main",
    `  bind 127.0.0.1:${port}`,
    `  server s ${server}`,
    "",
  ];
  await writeFile(join(directory, "haproxy.cfg"), text.join("\n"));
  const child = spawn(EXECUTABLE, ["-db", "-q", "-f", join(directory, "haproxy.cfg")], { stdio: "ignore" });
  const stop = async () => {
    await stopProcess(child);
    await rm(directory, { recursive: true, force: true });
  };
  afterTest(stop);
  await eventually(() => canConnect(port), "HAProxy to listen", { timeoutMs: 15_000, everyMs: 50 });
  return { port, stop };
}
