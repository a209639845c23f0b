import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { conclude, readScale } from "./parts/command-line.mjs";
import { freePort, replaceFile, startPart, startSluice, temporaryDirectory } from "./parts/processes.mjs";

/**
 * A thousand reloads, one every 300 ms, with 5,000 open streams and 200 new connections per second: no stream is
 * closed, no connection refused, no response comes from an older configuration than seen before, and memory is flat.
 *
 *   npm run build && node test/soak/reload.mjs --scale 1
 */
const STREAMS = 5_000;
const RELOADS = 1_000;
const EVERY_MS = 300;
const CONNECTIONS_PER_SECOND = 200;
const PARTS = 2;
/** The allowed growth after three tenths of the reloads, and the usual variation of the heap. */
const MAX_GROWTH = 1.1;
const BREATH_BYTES = 16 * 2 ** 20;

const streamRoute = (port) => `match: { path: /stream }\nupstream: http://127.0.0.1:${port}\n`;
/** A mock, and a pool that changes with each reload. */
const versionRoute = (version) =>
  `match: { path: /version }\nmock: { status: 200, body: "version ${version}" }\nstages: { TEST: { upstream: http://127.0.0.1:${10_000 + version} } }\n`;

async function soak(scale) {
  const streams = Math.round(STREAMS * scale);
  const reloads = Math.round(RELOADS * scale);
  const cwd = temporaryDirectory();
  const routes = join(cwd, "config/routes");
  mkdirSync(routes, { recursive: true });
  const port = await freePort();
  const backend = startPart("backend", { everyMs: 1_000 });
  replaceFile(
    join(cwd, "config/sluice.yaml"),
    `listen: 127.0.0.1:${port}\nadmin: false\nlog: { level: info }\n`,
  );
  replaceFile(join(routes, "stream.yaml"), streamRoute(await backend.ready));
  replaceFile(join(routes, "version.yaml"), versionRoute(0));
  const sluice = await startSluice(cwd);
  const parts = Array.from({ length: PARTS }, () =>
    startPart("streams", { port, count: Math.round(streams / PARTS) }),
  );
  await Promise.all(parts.map(({ ready }) => ready));
  const visitors = startPart("visitors", { port, perSecond: CONNECTIONS_PER_SECOND });
  await visitors.ready;
  console.log(`${streams} streams are open; ${reloads} reloads`);
  let settledBytes = 0;
  for (let version = 1; version <= reloads; version++) {
    replaceFile(join(routes, "version.yaml"), versionRoute(version));
    await sleep(EVERY_MS);
    // On a busy machine two reloads could merge into one.
    while ((sluice.logged.get("reloaded") ?? 0) < version) await sleep(10);
    if (version === Math.ceil(reloads * 0.3)) settledBytes = sluice.residentBytes();
    if (version % 100 === 0)
      console.log(`${version} reloads, ${Math.round(sluice.residentBytes() / 2 ** 20)} MiB`);
  }
  await sleep(2_000);
  const verdict = await judge({ sluice, parts, visitors, backend, streams, reloads, settledBytes });
  for (const part of [...parts, visitors, backend]) part.stop();
  sluice.child.kill("SIGKILL");
  return verdict;
}

async function judge({ sluice, parts, visitors, backend, streams, reloads, settledBytes }) {
  const last = await backend.ask("last");
  await sleep(2_000);
  const states = await Promise.all(parts.map((part) => part.ask("state")));
  const sum = (key) => states.reduce((total, state) => total + state[key], 0);
  const { answered, refused, wrong, newest } = await visitors.ask("state");
  const endBytes = sluice.residentBytes();
  const verdict = {
    reloads: sluice.logged.get("reloaded"),
    rejected: sluice.logged.get("config rejected: the current one is kept") ?? 0,
    streams: sum("open"),
    closed: sum("ended"),
    lostEvents: sum("lost"),
    behind: states.filter(({ least }) => least < last).length,
    connections: answered,
    refused,
    wrong,
    newest,
    settledMiB: Math.round(settledBytes / 2 ** 20),
    endMiB: Math.round(endBytes / 2 ** 20),
  };
  const isGood =
    verdict.reloads === reloads &&
    verdict.streams === Math.round(streams / PARTS) * PARTS &&
    [verdict.rejected, verdict.closed, verdict.lostEvents, verdict.behind, refused, wrong].every(
      (n) => n === 0,
    ) &&
    newest === reloads &&
    endBytes < settledBytes * MAX_GROWTH + BREATH_BYTES;
  return { isGood, ...verdict };
}

conclude(await soak(readScale()));
