import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, openSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { attempt, run } from "../command.ts";
import { eventually } from "../eventually.ts";
import { fetchPrograms } from "./packages.ts";

const FORWARDING = "/proc/sys/net/ipv4/ip_forward";
const LOG_TAIL_CHARACTERS = 4000;

/** A running engine, with the environment of its clients. */
export interface Engine {
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const answers = async (env: Readonly<Record<string, string>>): Promise<boolean> => {
  const format = ["version", "--format", "{{.Server.Version}}"];
  // Without a docker program there is no engine either.
  return attempt("docker", format, { env, timeoutMs: 20_000 }).then(
    ({ code }) => code === 0,
    () => false,
  );
};

/** Returns the engine that already runs on this machine, if any. */
export async function runningEngine(): Promise<Engine | undefined> {
  if (!(await answers({}))) return undefined;
  return { env: {}, stop: async () => undefined };
}

/**
 * The changes of an engine outside its own directory: firewall rules, forwarding, a bridge.
 *
 * Saved once and kept on disk until restored: after a crash the current rules are already Docker's.
 */
async function saveNetwork(directory: string): Promise<void> {
  const rules = join(directory, "iptables.saved");
  if (existsSync(rules)) return;
  await writeFile(join(directory, "ip_forward.saved"), await readFile(FORWARDING, "utf8"));
  await writeFile(rules, await run("iptables-save", []));
}

async function restoreNetwork(directory: string): Promise<void> {
  const rules = join(directory, "iptables.saved");
  if (!existsSync(rules)) return;
  await attempt("ip", ["link", "delete", "docker0"]).catch(() => undefined);
  for (const table of ["filter", "nat"]) {
    await attempt("iptables", ["-t", table, "-F"]);
    await attempt("iptables", ["-t", table, "-X"]);
  }
  await attempt("iptables", ["-P", "FORWARD", "ACCEPT"]);
  await run("iptables-restore", [rules]);
  await writeFile(FORWARDING, await readFile(join(directory, "ip_forward.saved"), "utf8"));
  await rm(rules);
}

/** Returns the mounts under its directory that a killed engine leaves behind. */
async function unmountAll(directory: string): Promise<void> {
  const mounts = (await readFile("/proc/mounts", "utf8"))
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${directory}/`));
  for (const path of mounts.reverse()) await attempt("umount", ["--lazy", path]);
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Removes the remains of an earlier, killed run: its engine, containers and mounts. */
async function clearLeftovers(directory: string): Promise<void> {
  for (const name of await readdir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const words = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    // Only processes of an engine in this directory: dockerd, its containerd and its shims.
    if (!/^\S*(?:dockerd|containerd)/.test(words) || !words.includes(directory)) continue;
    process.kill(pid, "SIGTERM");
    await eventually(() => !isAlive(pid), `process ${pid} to end`, { timeoutMs: 20_000, everyMs: 100 }).catch(
      () => process.kill(pid, "SIGKILL"),
    );
  }
  await unmountAll(directory);
  await rm(directory, { recursive: true, force: true });
}

async function stopEngine(child: ChildProcess, directory: string, saved: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    await exited;
  }
  await clearLeftovers(directory);
  await restoreNetwork(saved);
}

/** Starts an engine for the test, with its own data and socket; needs root on Debian. */
export async function startEngine(cache: string): Promise<Engine> {
  const programs = await fetchPrograms(cache);
  const directory = join(cache, "run");
  await clearLeftovers(directory);
  await mkdir(directory, { recursive: true });
  await saveNetwork(cache);
  const socket = `unix://${join(directory, "docker.sock")}`;
  const env = {
    PATH: `${programs.path}:${process.env["PATH"]}`,
    DOCKER_HOST: socket,
    DOCKER_CONFIG: programs.clientConfig,
  };
  const logFile = join(directory, "dockerd.log");
  const log = openSync(logFile, "w");
  const paths = ["--data-root", join(directory, "data"), "--exec-root", join(directory, "exec")];
  const child = spawn("dockerd", [...paths, "--pidfile", join(directory, "dockerd.pid"), "-H", socket], {
    env: { ...process.env, ...env },
    stdio: ["ignore", log, log],
  });
  const isGone = () => child.exitCode !== null || child.signalCode !== null;
  const isUp = async () => isGone() || (await answers(env));
  await eventually(isUp, "the engine to answer", { timeoutMs: 30_000, everyMs: 200 }).catch(() => undefined);
  if (isGone() || !(await answers(env))) {
    const text = await readFile(logFile, "utf8");
    await stopEngine(child, directory, cache);
    throw new Error(`the Docker engine did not start:\n${text.slice(-LOG_TAIL_CHARACTERS)}`);
  }
  return { env, stop: () => stopEngine(child, directory, cache) };
}
