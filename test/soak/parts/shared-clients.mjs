import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { temporaryDirectory } from "./processes.mjs";

const SOURCE = new URL("../native/clients.c", import.meta.url).pathname;

function compile() {
  const output = join(temporaryDirectory(), "clients");
  const { status } = spawnSync("cc", ["-O2", "-Wall", "-o", output, SOURCE], { stdio: "inherit" });
  if (status !== 0) throw new Error("cannot compile native/clients.c: gcc and libc6-dev are needed");
  return output;
}

/** Starts `native/clients.c`; returns a function that runs a command and resolves with the counts. */
export async function startClients(port, path) {
  const child = spawn(compile(), [String(port), path], { stdio: ["pipe", "pipe", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  await once(child, "spawn");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async (command) => {
    child.stdin.write(`${command}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error("the clients ended");
    return JSON.parse(value);
  };
}
