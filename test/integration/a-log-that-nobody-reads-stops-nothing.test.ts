import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LogOutput } from "../../src/observe/log-output.ts";
import { afterTest } from "../support/after-test.ts";
import { refusedPort } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, ROOT } from "../support/sluice-process.ts";

/** Requests whose log lines exceed the buffers of a pipe and its reader. */
const REQUESTS = 3_000;

/** Starts sluice with a pipe for its log; the pipe has no reader yet. */
async function startUnread() {
  const port = await refusedPort();
  const cwd = directoryOf({
    "config/sluice.yaml": `listen: 127.0.0.1:${port}\nadmin: false\n`,
    "config/routes/main.yaml": 'match: { path: "/*" }\nmock: { status: 200, body: ok }\n',
  });
  const main = join(ROOT, "dist/cli/main.js");
  const child = spawn(process.execPath, [main, "serve"], { cwd, stdio: ["ignore", "pipe", "ignore"] });
  afterTest(() => void child.kill("SIGKILL"));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  afterTest(() => void agent.destroy());
  const ask = () =>
    new Promise<number | undefined>((resolve) => {
      const request = get({ port, host: "127.0.0.1", agent }, (response) => {
        response.resume().on("end", () => resolve(response.statusCode));
      });
      request.on("error", () => resolve(undefined));
    });
  await eventually(async () => (await ask()) === 200, "an answer", { timeoutMs: 25_000 });
  return { child, ask };
}

test("an unread log does not delay responses, and a later reader gets every line", async () => {
  const { child, ask } = await startUnread();
  for (let request = 1; request < REQUESTS; request += 1) expect(await ask()).toBe(200);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => {
    text += more;
  });
  const lines = () => text.split("\n").filter((line) => line.includes('"msg":"request"'));
  await eventually(() => lines().length === REQUESTS, "every line", { timeoutMs: 20_000 });
  for (const line of lines()) expect(JSON.parse(line)).toMatchObject({ status: 200 });
});

test("a process with an unread log still ends", async () => {
  const { child, ask } = await startUnread();
  for (let request = 1; request < REQUESTS; request += 1) await ask();
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
});

test("lines beyond the bound are dropped, and their number is logged when there is room", async () => {
  const path = join(directoryOf({ "a.txt": "" }), "pipe");
  execFileSync("mkfifo", [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  afterTest(() => closeSync(fd));
  const dropped: number[] = [];
  const output = new LogOutput(fd, (lines) => dropped.push(lines), 20_000);
  const line = (number: number) => `${String(number).padStart(3)} ${"é".repeat(900)}\n`;
  const bytes = Buffer.byteLength(line(0));
  let text = "";
  const read = () => {
    const buffer = Buffer.alloc(65_536);
    try {
      text += buffer.toString("latin1", 0, readSync(fd, buffer));
    } catch {
      // The pipe is empty.
    }
    return dropped.length > 0;
  };
  for (let number = 0; number < 100; number += 1) output.write(line(number));
  await eventually(read, "room");
  await eventually(() => read() && text.length % bytes === 0 && text.length > 65_536, "what was kept");
  const kept = text.length / bytes;
  expect(dropped).toEqual([100 - kept]);
  expect(Buffer.from(text, "latin1").toString()).toBe(
    Array.from({ length: kept }, (_, at) => line(at)).join(""),
  );
});

test("lines of any length and script are written in order", () => {
  const path = join(directoryOf({ "a.txt": "" }), "a.txt");
  const fd = openSync(path, "w");
  afterTest(() => closeSync(fd));
  const output = new LogOutput(fd, () => {});
  const lengths = [1, 30_000, 0, 22_000, 21_845, 21_846, 5, 200_000, 3, 3, 64_000];
  const lines = lengths.map((length, at) => `${at}${["a", "é", "€"][at % 3]?.repeat(length)}\n`);
  for (const line of lines) output.write(line);
  output.finish();
  expect(readFileSync(path, "utf8")).toBe(lines.join(""));
});

test("a process that ends as soon as there is room loses none of its last lines", async () => {
  const path = join(directoryOf({ "a.txt": "" }), "pipe");
  execFileSync("mkfifo", [path]);
  const script = `
    import { constants, openSync } from "node:fs";
    import { LogOutput } from ${JSON.stringify(join(ROOT, "dist/observe/log-output.js"))};
    const fd = openSync(${JSON.stringify(path)}, constants.O_RDWR | constants.O_NONBLOCK);
    let lines = 0;
    const end = (dropped) => {
      console.log("to come: " + (lines - dropped) + ".");
      process.exit();
    };
    const output = new LogOutput(fd, end, 20_000);
    const write = () => {
      lines += 1;
      output.write("x".repeat(99) + "\\n");
    };
    while (lines < 3_000) write();
    console.log("full");
    setInterval(write, 1);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  afterTest(() => void child.kill("SIGKILL"));
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => {
    said += more;
  });
  await eventually(() => said.includes("full"), "a pipe without room", { timeoutMs: 15_000 });
  let text = "";
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  afterTest(() => closeSync(fd));
  const buffer = Buffer.alloc(65_536);
  const hasAll = () => {
    try {
      text += buffer.toString("latin1", 0, readSync(fd, buffer));
    } catch {
      // The pipe is empty.
    }
    return text.split("\n").length - 1 === Number(/to come: (\d+)\./.exec(said)?.[1]);
  };
  await eventually(hasAll, "every line that was not dropped", { timeoutMs: 10_000 });
});
