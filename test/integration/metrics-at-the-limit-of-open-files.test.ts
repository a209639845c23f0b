import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { samplesIn } from "../support/admin.ts";
import { afterTest } from "../support/after-test.ts";
import { eventually } from "../support/eventually.ts";

const MAIN = new URL("../../dist/cli/main.js", import.meta.url).pathname;
/** Enough for Node to load its modules, many of them at once. */
const FILES = 200;

/** Starts the built gateway with a low limit of open files and without limits of its own. */
async function startWithFewFiles(): Promise<{ readonly data: number; readonly admin: string }> {
  const root = mkdtempSync(join(tmpdir(), "sluice-files-"));
  mkdirSync(join(root, "routes"));
  writeFileSync(
    join(root, "sluice.yaml"),
    "listen: 127.0.0.1:0\nadmin: 0\nlimits: { connections: off, streams: off }\n",
  );
  writeFileSync(join(root, "routes/r.yaml"), "match: { path: /* }\nupstream: http://127.0.0.1:1\n");
  const command = `ulimit -n ${FILES}; exec "$0" "$1" serve --config "$2"`;
  const child = spawn("/bin/sh", ["-c", command, process.execPath, MAIN, root], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve) => child.once("close", resolve));
  afterTest(async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(root, { recursive: true });
  });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  const addressOf = (msg: string) =>
    eventually(
      () => new RegExp(`"address":"([^"]+)","msg":"${msg}"`).exec(out)?.[1],
      `${msg} in ${out}`,
    ) as Promise<string>;
  await eventually(() => out.includes('"msg":"ready"'), "ready", { timeoutMs: 15_000 });
  const data = await addressOf("listening");
  return { data: Number(/\d+$/.exec(data)?.[0]), admin: `http://${await addressOf("admin listening")}` };
}

const read = (url: string, agent: Agent): Promise<string> =>
  new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      response.once("end", () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))));
    }).once("error", reject);
  });

// process.memoryUsage() and reads of /proc throw at the limit; a scrape that fails would hide the incident.
test("a scrape on an open connection works at the limit and reports that no file descriptor is left", async () => {
  const { data, admin } = await startWithFewFiles();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  afterTest(() => agent.destroy());
  const samples = async () => samplesIn(await read(`${admin}/metrics`, agent));
  const before = await samples();
  expect(before.get("process_max_fds")).toBe(FILES);
  expect(before.get("process_open_fds")).toBeLessThan(FILES);

  const sockets = Array.from({ length: FILES + 20 }, () => {
    const socket = connect(data, "127.0.0.1");
    socket.on("error", () => {});
    return socket;
  });
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
  });
  await eventually(
    async () => (await samples()).get("sluice_out_of_files_total") === 1,
    "the limit in the metrics",
  );
  expect((await samples()).get("process_resident_memory_bytes")).toBeGreaterThan(0);
  expect(await read(`${admin}/healthz`, agent)).toContain("alive");
  expect(await read(`${admin}/`, agent)).toContain("<h1>sluice</h1>");

  for (const socket of sockets) socket.destroy();
  await eventually(
    async () => ((await samples()).get("process_open_fds") ?? FILES) < FILES,
    "the count to decrease",
  );
});
