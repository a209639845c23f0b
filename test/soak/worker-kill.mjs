import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { conclude, readScale } from "./parts/command-line.mjs";
import { freePort, startPart, startSluice, temporaryDirectory } from "./parts/processes.mjs";

/**
 * SIGKILL for one of two workers, 100 times, with 1,000 open streams. A replacement serves within a second (median),
 * the other worker's streams continue, every client reconnects without a lost event, and the primary has no more open
 * files than before.
 *
 *   npm run build && node test/soak/worker-kill.mjs --scale 1
 */
const STREAMS = 1_000;
const ROUNDS = 100;
const MOST_RESTART_MS = 1_000;
/** Each worker then lives longer than ten seconds, so that its end does not count as a failed start. */
const BETWEEN_MS = 5_200;
const PATIENCE_MS = 30_000;

function writeConfig(cwd, port, backendPort) {
  mkdirSync(join(cwd, "config/routes"), { recursive: true });
  writeFileSync(join(cwd, "config/sluice.yaml"), `listen: 127.0.0.1:${port}\nadmin: false\nworkers: 2\n`);
  const route = `match: { path: /stream }\nupstream: http://127.0.0.1:${backendPort}\n`;
  writeFileSync(join(cwd, "config/routes/stream.yaml"), route);
}

const childrenOf = (pid) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);

const filesOf = (pid) => readdirSync(`/proc/${pid}/fd`).length;

async function until(isSo, what) {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${PATIENCE_MS} ms`);
    await sleep(20);
  }
}

async function soak(scale) {
  const rounds = Math.max(3, Math.round(ROUNDS * scale));
  const backend = startPart("backend", { everyMs: 100 });
  const [port, cwd] = [await freePort(), temporaryDirectory()];
  writeConfig(cwd, port, await backend.ready);
  const sluice = await startSluice(cwd);
  const { pid } = sluice.child;
  const clients = startPart("streams", { port, count: STREAMS });
  await clients.ready;
  const filesBefore = filesOf(pid);
  const restartMs = [];
  let untouched = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const before = await clients.ask("state");
    const served = sluice.logged.get("worker restarted") ?? 0;
    process.kill(childrenOf(pid)[round % 2], "SIGKILL");
    const killedAt = performance.now();
    await until(() => (sluice.logged.get("worker restarted") ?? 0) > served, "another worker");
    restartMs.push(performance.now() - killedAt);
    await until(async () => (await clients.ask("state")).open === STREAMS, "all clients");
    const { ended } = await clients.ask("state");
    untouched = Math.min(untouched, STREAMS - (ended - before.ended));
    await sleep(BETWEEN_MS);
  }
  const last = await backend.ask("last");
  await until(async () => (await clients.ask("state")).least >= last, "the last event everywhere");
  const { lost, repeated, refused } = await clients.ask("state");
  const files = filesOf(pid) - filesBefore;
  for (const part of [clients, backend]) part.stop();
  const sorted = restartMs.toSorted((a, b) => a - b);
  const medianMs = Math.round(sorted[sorted.length >> 1]);
  // A client that connects at the moment of the kill is refused or disconnected, and reconnects.
  const isGood = lost + repeated === 0 && untouched > 0 && files <= 0 && medianMs <= MOST_RESTART_MS;
  const slowestMs = Math.round(sorted.at(-1));
  return { isGood, rounds, streams: STREAMS, lost, repeated, untouched, refused, files, medianMs, slowestMs };
}

conclude(await soak(readScale()));
