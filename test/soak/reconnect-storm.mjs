import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { conclude, readScale } from "./parts/command-line.mjs";
import { freePort, startSluice, temporaryDirectory } from "./parts/processes.mjs";
import { startClients } from "./parts/shared-clients.mjs";
import { TimedBackend } from "./parts/timed-backend.mjs";

/**
 * All 10,000 clients of one shared stream are disconnected at once and reconnect within a second with the ids of
 * their last events, ten times, while events flow: the backend gets one request in all, every client resumes, and
 * no client loses an event or gets it twice.
 *
 *   npm run build && node test/soak/reconnect-storm.mjs --scale 1
 */
const CLIENTS = 10_000;
const STORMS = 10;
const RATE = 2;
/** The time over which they reconnect; closing and opening so many takes the rest of the second. */
const SPREAD_MS = 800;
const BETWEEN_MS = 2_000;
const SETTLE_MS = 30_000;

const scale = readScale();
const count = Math.round(CLIENTS * scale);
const backend = new TimedBackend();
const backendPort = await backend.listen();
const cwd = temporaryDirectory();
const port = await freePort();
mkdirSync(join(cwd, "config/routes"), { recursive: true });
writeFileSync(join(cwd, "config/sluice.yaml"), `listen: 127.0.0.1:${port}\nadmin: false\n`);
const upstream = `upstream: http://127.0.0.1:${backendPort}`;
writeFileSync(join(cwd, "config/routes/stream.yaml"), `match: { path: /stream }\n${upstream}\nshared: {}\n`);
const sluice = await startSluice(cwd);
const clients = await startClients(port, "/stream");
let counts = await clients(`open ${count}`);
backend.emit(RATE);
// One event first, so that every client has an id.
counts = await clients(`settle 1 ${SETTLE_MS}`);
const cameMs = [];
const backMs = [];
for (let storm = 0; storm < STORMS; storm++) {
  await clients(`run ${BETWEEN_MS} 0`);
  counts = await clients(`storm ${SPREAD_MS}`);
  cameMs.push(counts.cameMs);
  backMs.push(counts.backMs);
  console.log(JSON.stringify({ residentMiB: Math.round(sluice.residentBytes() / 1024 ** 2), ...counts }));
}
backend.stop();
await sleep(100);
const total = await clients(`settle ${backend.count} ${SETTLE_MS}`);
const faults = ["lost", "repeated", "garbled", "unresumed", "ended", "refused", "unanswered"];
conclude({
  isGood:
    total.open === count &&
    total.least === backend.count &&
    total.resumed === count * STORMS &&
    faults.every((name) => total[name] === 0) &&
    backend.dials === 1,
  clients: count,
  storms: STORMS,
  events: backend.count,
  dials: backend.dials,
  // From the cut until the last client is reconnected, and until the last has its response.
  cameMs,
  backMs,
  residentMiB: Math.round(sluice.residentBytes() / 1024 ** 2),
  ...total,
});
