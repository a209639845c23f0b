import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { conclude, readScale } from "./parts/command-line.mjs";
import { freePort, startPart, startSluice, temporaryDirectory } from "./parts/processes.mjs";
import { RedisProcess } from "./shared-instances.mjs";

/**
 * SIGTERM with 5,000 streams, 20 times: two instances of a shared route behind nginx are drained and restarted in
 * turn. Every client reconnects without a lost event, and each exit is within the drain timeout + 1 s.
 *
 *   npm run build && node test/soak/drain.mjs --scale 1
 */
const STREAMS = 5_000;
const ROUNDS = 20;
const DRAIN_MS = 10_000;
const EXIT_GRACE_MS = 1_000;
const PARTS = 2;
/** The longest time until all clients are reconnected and up to date after a drain. */
const SETTLE_MS = 30_000;
const NGINX = process.env.NGINX_PATH ?? "/usr/sbin/nginx";

function writeConfig(cwd, port, backendPort, redisUrl) {
  mkdirSync(join(cwd, "config/routes"), { recursive: true });
  const drain = `drain: { timeout: ${DRAIN_MS}ms, retry: 500ms }`;
  writeFileSync(
    join(cwd, "config/sluice.yaml"),
    `listen: 127.0.0.1:${port}\nadmin: false\nredis: ${redisUrl}\n${drain}\n`,
  );
  const shared = "shared: { history: { events: 10000, age: 10m } }";
  const upstream = `upstream: http://127.0.0.1:${backendPort}`;
  writeFileSync(join(cwd, "config/routes/stream.yaml"), `match: { path: /stream }\n${upstream}\n${shared}\n`);
}

async function startNginx(ports) {
  const directory = temporaryDirectory();
  const port = await freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = `${process.getuid() === 0 ? "user root;" : ""}
worker_processes 1;
worker_rlimit_nofile 16384;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 15000; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path temp/${name};`).join(" ")}
  upstream sluice { least_conn; ${ports.map((one) => `server 127.0.0.1:${one} max_fails=0;`).join(" ")} }
  server {
    listen 127.0.0.1:${port} backlog=8192;
    location / { proxy_pass http://sluice; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`;
  mkdirSync(join(directory, "temp"));
  writeFileSync(join(directory, "nginx.conf"), config);
  const child = spawn(NGINX, ["-p", directory, "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"], {
    stdio: "inherit",
  });
  process.once("exit", () => child.kill("SIGTERM"));
  await sleep(500);
  return port;
}

/** Returns the counts of all clients together. */
async function stateOf(parts) {
  const states = await Promise.all(parts.map((part) => part.ask("state")));
  const sum = (key) => states.reduce((total, state) => total + state[key], 0);
  const keys = ["open", "ended", "lost", "repeated", "gaps", "hints", "refused"];
  return {
    ...Object.fromEntries(keys.map((key) => [key, sum(key)])),
    refusal: states.map(({ refusal }) => refusal).find((text) => text !== ""),
    least: Math.min(...states.map(({ least }) => least)),
  };
}

/** Waits until every client is reconnected and has the latest event of the start of the wait. */
async function settle(parts, backend, streams) {
  const until = performance.now() + SETTLE_MS;
  const last = await backend.ask("last");
  let state = await stateOf(parts);
  while ((state.open < streams || state.least < last) && performance.now() < until) {
    await sleep(100);
    state = await stateOf(parts);
  }
  return { ...state, areAllBack: state.open === streams && state.least >= last };
}

async function soak(scale) {
  const perPart = Math.round((STREAMS * scale) / PARTS);
  const streams = perPart * PARTS;
  const rounds = Math.max(2, Math.round(ROUNDS * scale));
  const backend = startPart("backend", { everyMs: 500 });
  const backendPort = await backend.ready;
  // A new instance has no event that the clients of another have seen.
  const redis = new RedisProcess({ appendOnly: false });
  await redis.start();
  process.once("exit", () => redis.signal("SIGKILL"));
  const instances = [];
  for (const cwd of [temporaryDirectory(), temporaryDirectory()]) {
    const port = await freePort();
    writeConfig(cwd, port, backendPort, redis.url);
    instances.push({ cwd, port, sluice: await startSluice(cwd) });
  }
  const port = await startNginx(instances.map((instance) => instance.port));
  const parts = Array.from({ length: PARTS }, () => startPart("streams", { port, count: perPart }));
  await Promise.all(parts.map(({ ready }) => ready));
  console.log(`${streams} streams are open; ${rounds} drains`);
  const exits = [];
  let unsettled = 0;
  for (let round = 0; round < rounds; round++) {
    const instance = instances[round % 2];
    const startedAt = performance.now();
    instance.sluice.child.kill("SIGTERM");
    const code = await instance.sluice.exited;
    const ms = Math.round(performance.now() - startedAt);
    exits.push({ code, ms });
    instance.sluice = await startSluice(instance.cwd);
    const state = await settle(parts, backend, streams);
    if (!state.areAllBack) unsettled += 1;
    console.log(JSON.stringify({ round: round + 1, code, ms, ...state }));
  }
  const { open, ended, lost, repeated, gaps, hints, refused } = await stateOf(parts);
  for (const part of [...parts, backend]) part.stop();
  const slowestMs = Math.max(...exits.map(({ ms }) => ms));
  const isGood =
    exits.every(({ code }) => code === 0) &&
    slowestMs <= DRAIN_MS + EXIT_GRACE_MS &&
    unsettled === 0 &&
    ended > 0 &&
    hints === ended &&
    [lost, repeated, gaps].every((count) => count === 0);
  return { isGood, rounds, streams: open, ended, hints, lost, repeated, gaps, refused, slowestMs };
}

conclude(await soak(readScale()));
