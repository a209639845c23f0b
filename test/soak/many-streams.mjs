import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { conclude, readScale } from "./parts/command-line.mjs";
import { freePort, replaceFile, startPart, startSluice, temporaryDirectory } from "./parts/processes.mjs";

/**
 * 9,000 streams through one process, each with its own backend connection and one event per second: no event is lost,
 * repeated or out of order, and no stream ends. They need 18,000 of the 20,000 files that a process may open here.
 *
 *   npm run build && node test/soak/many-streams.mjs --scale 1
 */
const STREAMS = 9_000;
const PARTS = 3;
const EVENT_EVERY_MS = 1_000;
const SECONDS = 120;
const SETTLE_MS = 5_000;
/** The maximum memory per idle stream in the process, with its share of the whole process. */
const MOST_KIB = 40;

const scale = readScale();
const perPart = Math.round((STREAMS * scale) / PARTS);
const streams = perPart * PARTS;
const cwd = temporaryDirectory();
mkdirSync(join(cwd, "config/routes"), { recursive: true });
const port = await freePort();
const backend = startPart("backend", { everyMs: EVENT_EVERY_MS });
replaceFile(join(cwd, "config/sluice.yaml"), `listen: 127.0.0.1:${port}\nadmin: false\n`);
const route = `match: { path: /stream }\nupstream: http://127.0.0.1:${await backend.ready}\n`;
replaceFile(join(cwd, "config/routes/stream.yaml"), route);
const sluice = await startSluice(cwd);
const emptyBytes = sluice.residentBytes();
const parts = Array.from({ length: PARTS }, () => startPart("streams", { port, count: perPart }));
await Promise.all(parts.map(({ ready }) => ready));
console.log(`${streams} streams are open`);

const first = await backend.ask("last");
await sleep(SECONDS * 1_000 * Math.min(1, scale));
const kibPerStream = (sluice.residentBytes() - emptyBytes) / 1024 / streams;
const last = await backend.ask("last");
await sleep(SETTLE_MS);
const states = await Promise.all(parts.map((part) => part.ask("state")));
const sum = (key) => states.reduce((total, state) => total + state[key], 0);
const verdict = {
  streams: sum("open"),
  events: (last - first) * streams,
  lost: sum("lost"),
  repeated: sum("repeated"),
  ended: sum("ended"),
  refused: sum("refused"),
  behind: states.filter(({ least }) => least < last).length,
  kibPerStream: Number(kibPerStream.toFixed(1)),
};
const { lost, repeated, ended, refused, behind } = verdict;
const isGood =
  verdict.streams === streams &&
  verdict.events > 0 &&
  [lost, repeated, ended, refused, behind].every((count) => count === 0) &&
  (scale < 1 || kibPerStream <= MOST_KIB);
for (const part of [...parts, backend]) part.stop();
sluice.child.kill("SIGKILL");
conclude({ isGood, ...verdict });
