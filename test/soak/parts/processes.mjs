import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Each part and directory has its own.
process.setMaxListeners(100);

const MAIN = new URL("../../../dist/cli/main.js", import.meta.url).pathname;

/** Creates a directory and removes it when the process ends. */
export function temporaryDirectory() {
  const path = mkdtempSync(join(tmpdir(), "sluice-soak-"));
  process.once("exit", () => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Replaces a file like an editor: a reader gets the old or the new file, never an incomplete one. */
export function replaceFile(path, text) {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

/** Starts a part of this directory as a process; `ask` sends it a message and resolves with its response. */
export function startPart(name, setup) {
  const child = fork(new URL(`./${name}.mjs`, import.meta.url), { stdio: "inherit" });
  process.once("exit", () => child.kill("SIGKILL"));
  let lastId = 0;
  const ask = (what, argument) => {
    lastId += 1;
    const id = lastId;
    return new Promise((resolve) => {
      const onMessage = (message) => {
        if (message.id !== id) return;
        child.off("message", onMessage);
        resolve(message.answer);
      };
      child.on("message", onMessage);
      child.send({ id, what, argument });
    });
  };
  return { ask, ready: ask("start", setup), stop: () => child.kill("SIGKILL") };
}

/** In a part: answers messages with the functions of these names. */
export function answerWith(answers) {
  process.on("message", async ({ id, what, argument }) => {
    process.send({ id, answer: await answers[what](argument) });
  });
}

/** Starts sluice with a configuration directory. */
export async function startSluice(cwd) {
  const child = spawn(process.execPath, [MAIN, "serve"], { cwd, stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  const sluice = {
    child,
    /** The number of log lines by message. */
    logged: new Map(),
    exited: once(child, "exit").then(([code]) => code),
    residentBytes: () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) * 1024,
  };
  let rest = "";
  await new Promise((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const msg = /"msg":"([^"]*)"\}$/.exec(line)?.[1];
        sluice.logged.set(msg, (sluice.logged.get(msg) ?? 0) + 1);
        if (msg === "ready") resolve();
      }
    });
    child.once("exit", (code) => reject(new Error(`sluice ended with ${code}`)));
  });
  return sluice;
}
