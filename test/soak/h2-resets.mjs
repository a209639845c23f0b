import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { connect } from "node:tls";
import { FRAME, frame } from "./matrix/frames.mjs";
import { conclude, readScale } from "./parts/command-line.mjs";
import { freePort, startSluice, temporaryDirectory } from "./parts/processes.mjs";

/**
 * HTTP/2 rapid reset (CVE-2023-44487), 1,000,000 times: requests that are reset in their own packet, a thousand per
 * connection, like the attack of 2023. Each connection is closed within a second, the backend gets at most 100
 * requests in all, and a stream of another client gets its events meanwhile.
 *
 *   npm run build && node test/soak/h2-resets.mjs --scale 1
 */
const RESETS = 1_000_000;
const RESETS_OF_CONNECTION = 1_000;
const MOST_DIALS = 100;
const GONE_WITHIN_MS = 1_000;
/** The interval of the probe's events, and their longest delay. */
const PROBE_MS = 50;
const PROBE_LATE_MS = 1_000;

/** The public test certificate. */
function certificate() {
  const text = readFileSync(new URL("../support/certificate.ts", import.meta.url), "utf8");
  const [cert, key] = text.match(/-----BEGIN [\s\S]*?-----END [A-Z ]+-----\n/g);
  return { cert, key };
}

function writeConfig(cwd, port, backendPort) {
  mkdirSync(join(cwd, "config/routes"), { recursive: true });
  const { cert, key } = certificate();
  writeFileSync(join(cwd, "config/cert.pem"), cert);
  writeFileSync(join(cwd, "config/key.pem"), key);
  const tls = "tls: { cert: cert.pem, key: key.pem }";
  writeFileSync(
    join(cwd, "config/sluice.yaml"),
    `listen: { address: 127.0.0.1:${port}, ${tls} }\nadmin: false\n`,
  );
  const route = `match: { path: /* }\nupstream: http://127.0.0.1:${backendPort}\n`;
  writeFileSync(join(cwd, "config/routes/main.yaml"), route);
}

/** The preface, and then request and reset by turns. */
function attackBytes() {
  // GET, https, /, and a literal :authority.
  const head = Buffer.concat([Buffer.from([0x82, 0x87, 0x84, 0x01, 6]), Buffer.from("a.test")]);
  const cancel = Buffer.from([0, 0, 0, 8]);
  const pairs = Array.from({ length: RESETS_OF_CONNECTION }, (_, at) =>
    Buffer.concat([frame(FRAME.headers, 0x5, at * 2 + 1, head), frame(FRAME.reset, 0, at * 2 + 1, cancel)]),
  );
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  return Buffer.concat([preface, frame(FRAME.settings, 0, 0), ...pairs]);
}

/** Attacks on one connection; resolves with the time from the attack to the connection's end, in ms. */
async function attackOnce(port, bytes) {
  const options = { port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"] };
  const socket = connect(options).on("error", () => {});
  await once(socket, "secureConnect");
  const startedAt = performance.now();
  socket.resume().write(bytes);
  await once(socket, "close");
  return performance.now() - startedAt;
}

/** Returns the CPU seconds of a process. */
function processorSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

let dials = 0;
const backend = createServer((request, response) => {
  if (request.url !== "/probe") {
    dials++;
    return;
  }
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  setInterval(() => response.write(`data: ${performance.now()}\n\n`), PROBE_MS);
}).listen(0, "127.0.0.1");
await once(backend, "listening");

const resets = RESETS * readScale();
const cwd = temporaryDirectory();
const port = await freePort();
writeConfig(cwd, port, backend.address().port);
const sluice = await startSluice(cwd);
const probe = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
let probeLateMs = 0;
const stream = probe.request({ ":path": "/probe" }).setEncoding("utf8");
stream.on("data", (text) => {
  for (const [, sentAt] of text.matchAll(/data: ([\d.]+)/g))
    probeLateMs = Math.max(probeLateMs, performance.now() - Number(sentAt));
});
await once(stream, "response");

const bytes = attackBytes();
const startedAt = performance.now();
const processorBefore = processorSeconds(sluice.child.pid);
let goneMs = 0;
let sent = 0;
for (; sent < resets; sent += RESETS_OF_CONNECTION) goneMs = Math.max(goneMs, await attackOnce(port, bytes));
const isProbeAlive = !stream.closed;
const verdict = {
  resets: sent,
  dials,
  goneMs: Math.round(goneMs),
  probeLateMs: Math.round(probeLateMs),
  seconds: Math.round((performance.now() - startedAt) / 1000),
  processorSeconds: processorSeconds(sluice.child.pid) - processorBefore,
  residentMiB: Math.round(sluice.residentBytes() / 1024 / 1024),
  isGood: dials <= MOST_DIALS && goneMs < GONE_WITHIN_MS && isProbeAlive && probeLateMs < PROBE_LATE_MS,
};
sluice.child.kill("SIGKILL");
conclude(verdict);
