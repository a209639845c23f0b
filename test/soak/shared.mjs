import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { conclude, readScale } from "./parts/command-line.mjs";
import { memoryLogOf, readMemoryLog, trendOf } from "./parts/memory.mjs";
import { freePort, startSluice, temporaryDirectory } from "./parts/processes.mjs";
import { startClients } from "./parts/shared-clients.mjs";
import { TimedBackend } from "./parts/timed-backend.mjs";

/**
 * One shared stream for ten minutes: 60 million deliveries to 2,000 clients, a hundred of which are disconnected per
 * second and reconnect with the id of their last event, while the backend sometimes aborts. No client loses an event
 * or gets it twice or out of order, and memory is flat as defined in `parts/memory.mjs`.
 *
 *   npm run build && node test/soak/shared.mjs --scale 1
 */
const CLIENTS = 2_000;
const SECONDS = 600;
const DELIVERIES = 60_000_000;
/** A little more than needed, because disconnected clients get their events later. */
const RATE = (DELIVERIES / CLIENTS / SECONDS) * 1.01;
const CUTS_PER_SECOND = 100;
const BACKEND_CUT_MS = 20_000;
const SLICE_MS = 10_000;
const SETTLE_MS = 30_000;
const SAMPLES = 120;
/** In a shorter run memory has not reached its size; it is shown but not judged. */
const JUDGED_FROM = 0.5;

const scale = readScale();
const goal = DELIVERIES * scale;
const backend = new TimedBackend();
const backendPort = await backend.listen();
const cwd = temporaryDirectory();
const port = await freePort();
mkdirSync(join(cwd, "config/routes"), { recursive: true });
writeFileSync(join(cwd, "config/sluice.yaml"), `listen: 127.0.0.1:${port}\nadmin: false\n`);
const shared = "shared: { history: { events: 1000 }, redial: { min: 100ms } }";
const upstream = `upstream: http://127.0.0.1:${backendPort}`;
writeFileSync(join(cwd, "config/routes/stream.yaml"), `match: { path: /stream }\n${upstream}\n${shared}\n`);
const sampleMs = (SECONDS * scale * 1000) / SAMPLES;
Object.assign(process.env, memoryLogOf(sampleMs));
const sluice = await startSluice(cwd);
delete process.env.NODE_OPTIONS;

const clients = await startClients(port, "/stream");
let counts = await clients(`open ${CLIENTS}`);
const startedAt = performance.now();
const resident = [];
const sampling = setInterval(
  () => resident.push({ at: Date.now(), bytes: sluice.residentBytes() }),
  sampleMs,
);
let backendCuts = 0;
const cutting = setInterval(() => {
  backend.cut();
  backendCuts += 1;
}, BACKEND_CUT_MS);
backend.emit(RATE);
while (counts.deliveries < goal && performance.now() - startedAt < SECONDS * scale * 1100) {
  counts = await clients(`run ${Math.min(SLICE_MS, SECONDS * scale * 100)} ${CUTS_PER_SECOND}`);
  console.log(JSON.stringify({ residentMiB: Math.round(sluice.residentBytes() / 1024 ** 2), ...counts }));
}
const seconds = (performance.now() - startedAt) / 1000;
backend.stop();
clearInterval(cutting);
clearInterval(sampling);
counts = await clients(`settle ${backend.count} ${SETTLE_MS}`);
const heap = trendOf(readMemoryLog(cwd).map(({ at, heapBytes }) => ({ at, bytes: heapBytes })));
const rss = trendOf(resident);
const faults = ["lost", "repeated", "garbled", "unresumed", "ended", "refused", "unanswered"];
conclude({
  isGood:
    counts.deliveries >= goal &&
    counts.open === CLIENTS &&
    counts.least === backend.count &&
    faults.every((name) => counts[name] === 0) &&
    backend.dials === backendCuts + 1 &&
    (scale < JUDGED_FROM || (rss.isFlat && heap.isFlat)),
  seconds: Math.round(seconds),
  clients: CLIENTS,
  events: backend.count,
  backendCuts,
  dials: backend.dials,
  ...counts,
  rss,
  heap,
});
