import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { conclude, readScale } from "./parts/command-line.mjs";
import { freePort, replaceFile, startPart, startSluice, temporaryDirectory } from "./parts/processes.mjs";

/**
 * slowhttptest with 4,000 connections: slow heads, then slow bodies, then slow readers. Meanwhile a stream loses no
 * event, and other requests get responses.
 *
 *   npm run build && node test/soak/slow-clients.mjs --scale 1
 */
const CONNECTIONS = 4_000;
const SECONDS = 60;
const PER_SECOND = 400;
const EVENT_EVERY_MS = 100;
/** The longest delay of a stream with ten events per second, and of a response on a new connection. */
const MAX_SILENCE_MS = 1_000;
const MAX_P95_MS = 200;
/** The share of connections that must have been open at the same time. */
const MIN_PART = 0.95;
const PROGRAM = process.env.SLOWHTTPTEST_PATH ?? "/usr/bin/slowhttptest";

const MODES = {
  headers: ["-H", "-i", "4", "-x", "24", "-u", "/hello"],
  body: ["-B", "-i", "4", "-s", "8192", "-x", "24", "-u", "/upload"],
  read: ["-X", "-n", "4", "-w", "128", "-y", "512", "-z", "32", "-u", "/download"],
};

/** Installs slowhttptest if possible; only this run needs it. */
function provide() {
  if (existsSync(PROGRAM)) return;
  const mayInstall = process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
  if (!mayInstall) throw new Error("slowhttptest is missing: install it, or set SLOWHTTPTEST_PATH");
  console.log("installing slowhttptest with apt");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [
    ["update", "-qq"],
    ["install", "-y", "-qq", "--no-install-recommends", "slowhttptest"],
  ]) {
    spawnSync("apt-get", args, { stdio: ["ignore", "inherit", "inherit"], env });
  }
}

/** Runs it in one mode; resolves with the largest number of connections open at a time. */
async function attack(mode, port, connections, seconds) {
  const args = MODES[mode].map((word) => (word.startsWith("/") ? `http://127.0.0.1:${port}${word}` : word));
  const size = ["-c", `${connections}`, "-r", `${PER_SECOND}`, "-l", `${seconds}`, "-p", "5"];
  const child = spawn(PROGRAM, [...args, ...size], { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  let text = "";
  child.stdout.setEncoding("latin1").on("data", (more) => {
    text += more;
  });
  await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const counts = stripVTControlCharacters(text).matchAll(/connected:\s*(\d+)/g);
  return Math.max(0, ...[...counts].map(([, count]) => Number(count)));
}

async function soak(scale) {
  provide();
  const connections = Math.round(CONNECTIONS * scale);
  const seconds = Math.max(15, Math.round(SECONDS * scale));
  const cwd = temporaryDirectory();
  const routes = join(cwd, "config/routes");
  mkdirSync(routes, { recursive: true });
  const port = await freePort();
  const backend = startPart("backend", { everyMs: EVENT_EVERY_MS });
  const upstream = `upstream: http://127.0.0.1:${await backend.ready}\n`;
  replaceFile(join(cwd, "config/sluice.yaml"), `listen: 127.0.0.1:${port}\nadmin: false\n`);
  replaceFile(join(routes, "all.yaml"), `match: { path: "/*" }\n${upstream}`);
  replaceFile(join(routes, "hello.yaml"), "match: { path: /hello }\nmock: { status: 200, body: hello }\n");
  const sluice = await startSluice(cwd);
  const probe = startPart("probe", { port });
  await probe.ready;
  const modes = {};
  for (const mode of Object.keys(MODES)) {
    await probe.ask("take");
    const connected = await attack(mode, port, connections, seconds);
    const rssMiB = Math.round(sluice.residentBytes() / 2 ** 20);
    modes[mode] = { connected, ...(await probe.ask("take")), rssMiB };
    console.log(JSON.stringify({ mode, ...modes[mode] }));
  }
  for (const part of [probe, backend]) part.stop();
  sluice.child.kill("SIGKILL");
  const isGood = Object.values(modes).every(
    ({ connected, events, missed, ended, unanswered, silenceMs, p95Ms }) =>
      connected >= connections * MIN_PART &&
      events > 0 &&
      [missed, ended, unanswered].every((count) => count === 0) &&
      silenceMs < MAX_SILENCE_MS &&
      p95Ms < MAX_P95_MS,
  );
  return { isGood, connections, ...modes };
}

conclude(await soak(readScale()));
