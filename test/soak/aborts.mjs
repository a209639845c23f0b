import { once } from "node:events";
import { mkdirSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { conclude, readScale } from "./parts/command-line.mjs";
import { freePort, replaceFile, startSluice, temporaryDirectory } from "./parts/processes.mjs";

/**
 * 100,000 clients that connect and disconnect, a thousand per second: before or during their request, before its
 * response or during its stream, with a FIN or a reset. Afterwards no file, backend request or memory of them is
 * left.
 *
 *   npm run build && node test/soak/aborts.mjs --scale 1
 */
const VISITS = 100_000;
const PER_SECOND = 1_000;
const TICK_MS = 20;
/** The allowed growth between three tenths of the visits, when the process has its usual size, and the end. */
const MAX_GROWTH = 1.1;
const BREATH_BYTES = 16 * 2 ** 20;
/** Idle connections to the backend, and the few files of the process itself. */
const MAX_FILES_MORE = 70;
const SETTLE_MS = 5_000;

let streams = 0;
const backend = createServer((request, response) => {
  // Every third request gets no response.
  if (request.url.endsWith("0")) return;
  streams++;
  response.once("close", () => streams--);
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write("data: 1\n\ndata: ha");
}).listen(0, "127.0.0.1");
await once(backend, "listening");

const open = new Set();

function visit(port, n) {
  const socket = connect(port, "127.0.0.1");
  open.add(socket);
  socket.on("error", () => {});
  socket.once("close", () => open.delete(socket));
  const leave = () => (n % 2 === 0 ? socket.destroy() : socket.resetAndDestroy());
  const request = `GET /${n % 3} HTTP/1.1\r\nHost: a\r\n\r\n`;
  socket.once("connect", () => {
    const moment = n % 5;
    if (moment === 0) return leave();
    socket.write(moment === 1 ? request.slice(0, 20) : request);
    if (moment === 4) socket.once("data", leave);
    setTimeout(leave, moment * 10);
  });
}

const visits = Math.round(VISITS * readScale());
const cwd = temporaryDirectory();
const port = await freePort();
mkdirSync(join(cwd, "config/routes"), { recursive: true });
replaceFile(join(cwd, "config/sluice.yaml"), `listen: 127.0.0.1:${port}\nadmin: false\n`);
const route = `match: { path: /* }\nupstream: http://127.0.0.1:${backend.address().port}\n`;
replaceFile(join(cwd, "config/routes/main.yaml"), route);
const sluice = await startSluice(cwd);
const files = () => readdirSync(`/proc/${sluice.child.pid}/fd`).length;
const filesBefore = files();
let warmBytes = 0;
const startedAt = performance.now();
for (let n = 0; n < visits; ) {
  const due = Math.min(visits, ((performance.now() - startedAt) * PER_SECOND) / 1_000);
  while (n < due) visit(port, n++);
  if (warmBytes === 0 && n > visits * 0.3) warmBytes = sluice.residentBytes();
  await sleep(TICK_MS);
}
const seconds = (performance.now() - startedAt) / 1_000;
await sleep(SETTLE_MS);
const endBytes = sluice.residentBytes();
const verdict = {
  visits,
  perSecond: Math.round(visits / seconds),
  lines: sluice.logged.get("request") ?? 0,
  left: open.size,
  streams,
  filesBefore,
  filesAfter: files(),
  warmMiB: Math.round(warmBytes / 2 ** 20),
  endMiB: Math.round(endBytes / 2 ** 20),
};
const isGood =
  sluice.child.exitCode === null &&
  open.size === 0 &&
  streams === 0 &&
  verdict.filesAfter - filesBefore <= MAX_FILES_MORE &&
  endBytes < warmBytes * MAX_GROWTH + BREATH_BYTES;
sluice.child.kill("SIGKILL");
conclude({ isGood, ...verdict });
