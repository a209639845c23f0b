import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;

/** Runs a program and collects its output. */
function start(args: readonly string[]) {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const said = { text: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said.text += text;
    });
  }
  afterTest(() => {
    child.kill("SIGKILL");
  });
  return { child, said };
}

// Node opens its inspector on SIGUSR1, and anyone who can connect to that port can run code in the process.
test("SIGUSR1 opens no inspector and does not end the process", async () => {
  const { child, said } = start([MAIN, "serve", "--to", "http://127.0.0.1:1", "--listen", "127.0.0.1:0"]);
  await eventually(() => said.text.includes('"msg":"ready"'), "ready", { timeoutMs: 15_000 });
  child.kill("SIGUSR1");
  const address = /"address":"([^"]+)"/.exec(said.text)?.[1];
  const answer = await fetch(`http://${address}/`);
  expect(answer.status).toBe(502);
  child.kill("SIGTERM");
  await new Promise((resolve) => child.once("close", resolve));
  expect(child.exitCode).toBe(0);
  expect(said.text).not.toMatch(/debugger|inspector/i);
});

test("control: SIGUSR1 opens the inspector of an ordinary program", async () => {
  const { child, said } = start(["--inspect-port=0", "-e", "setInterval(() => {}, 1000); console.log('up')"]);
  await eventually(() => said.text.includes("up"), "the start", { timeoutMs: 15_000 });
  child.kill("SIGUSR1");
  await eventually(() => said.text.includes("Debugger listening"), "the inspector");
});
