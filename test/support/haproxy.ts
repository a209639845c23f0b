import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "./after-test.ts";
import { refusedPort } from "./backend.ts";
import { eventually } from "./eventually.ts";

const EXECUTABLE = process.env["HAPROXY_PATH"] ?? "/usr/sbin/haproxy";

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    setTimeout(() => socket.destroy(), 500).unref();
  });
}

/** Starts a real HAProxy that forwards TCP to `server`, an address with options; returns its port. */
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
