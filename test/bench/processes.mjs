import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** The proxy has a core to itself; load generator and backend share the other one. */
export const PROXY_CORE = 1;
export const LOAD_CORE = 0;
const READY_MS = 15_000;
const STOP_MS = 20_000;
/** An abstract Linux socket, which disappears with its process. */
const LOCK = "\0sluice-bench";
const LOCK_RETRY_MS = 100;

/** Starts a program on one core with native/on-core.c, which executes the program: the pid is the program's. */
export function startOn(onCore, core, { command, args, env = process.env }, stdio) {
  return spawn(onCore, [String(core), command, ...args], { env, stdio });
}

/** Ends a process of `startOn`, and waits for its end. */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(timer);
}

/** Returns a free port. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function canConnect(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** Resolves when the port accepts connections. */
export async function listening(child, port) {
  const limit = Date.now() + READY_MS;
  while (!(await canConnect(port))) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode} before it listened`);
    if (Date.now() > limit) throw new Error("does not listen");
    await sleep(50);
  }
}

/** Returns the process and all its descendants. */
export function processTree(pid) {
  const path = `/proc/${pid}/task/${pid}/children`;
  const children = existsSync(path) ? readFileSync(path, "utf8").trim().split(" ").filter(Boolean) : [];
  return [pid, ...children.flatMap((child) => processTree(Number(child)))];
}

/** Returns the proportional set size of all processes, in KiB. */
export function memoryKib(pids) {
  const sizes = pids.map((pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1]);
  });
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Reads the JSON lines of a child process one by one. */
export function jsonLines(child) {
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error("the load generator ended");
    return JSON.parse(value);
  };
}

/** Waits for the lock: two benchmarks at the same time would measure each other. */
export async function alone(work) {
  const lock = createServer();
  const tryIt = () =>
    new Promise((resolve) => {
      lock.once("error", () => resolve(false));
      lock.listen(LOCK, () => resolve(true));
    });
  while (!(await tryIt())) {
    lock.removeAllListeners();
    await sleep(LOCK_RETRY_MS);
  }
  try {
    return await work();
  } finally {
    await new Promise((resolve) => lock.close(resolve));
  }
}
