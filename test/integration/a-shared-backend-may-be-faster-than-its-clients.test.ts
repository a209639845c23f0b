import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { afterTest } from "../support/after-test.ts";
import { type BackendRequest, chunkOf, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";
import { openStream, requestBytes } from "../support/sse-client.ts";

const MiB = 1024 ** 2;
const EVENTS = 50_000;
const FILLER = "x".repeat(10_000);
const AT_ONCE = 50;

/** Writes half a gigabyte of numbered events as fast as the gateway reads them. */
function pump(request: BackendRequest): void {
  const { socket } = request.connection;
  let made = Number(request.field("last-event-id") ?? 0);
  const fill = () => {
    while (made < EVENTS && !socket.destroyed) {
      const from = made;
      made = Math.min(EVENTS, made + AT_ONCE);
      let text = "";
      for (let id = from + 1; id <= made; id++) text += `id: ${id}\ndata: ${FILLER}\n\n`;
      if (!socket.write(chunkOf(text))) return;
    }
  };
  request.openStream();
  socket.on("drain", fill);
  fill();
}

/** Reads numbered events as fast as this process can, and reconnects with the last id whenever its stream ends. */
class Reader {
  readonly #port: number;
  last = 0;
  reconnects = 0;
  /** Numbers that did not follow the previous number although the client got no gap event. */
  readonly faults: string[] = [];

  constructor(port: number) {
    this.#port = port;
    this.#connect();
  }

  #connect(): void {
    const socket = connect(this.#port, "127.0.0.1");
    afterTest(() => void socket.destroy());
    const headers: Record<string, string> = this.last === 0 ? {} : { "Last-Event-ID": String(this.last) };
    socket.write(requestBytes(this.#port, { path: "/news", headers }));
    let rest = "";
    let isGap = this.last === 0;
    socket.on("data", (bytes) => {
      // An id may be split over two chunks; the bytes behind the last line break wait.
      const text = rest + bytes.toString("latin1");
      const end = text.lastIndexOf("\n") + 1;
      rest = text.slice(end);
      for (const [, gap, id] of text.slice(0, end).matchAll(/^(?:(event: sluice\.gap)|id: (\d+))$/gm)) {
        if (gap !== undefined) isGap = true;
        else isGap = this.#take(Number(id), isGap);
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.reconnects += 1;
      if (this.last < EVENTS && this.reconnects < 1000) this.#connect();
    });
  }

  #take(id: number, isGap: boolean): false {
    if (isGap ? id <= this.last : id !== this.last + 1) this.faults.push(`${this.last}, then ${id}`);
    this.last = id;
    return false;
  }
}

const residentBytes = (pid: number, field: "VmRSS" | "VmHWM"): number =>
  Number(
    new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1],
  ) * 1024;

test("at full speed memory is bounded, slow clients are ended, and every client learns of missed events", async () => {
  const backend = await startBackend();
  const cwd = directoryOf({
    "config/sluice.yaml": "listen: 127.0.0.1:0\nadmin: false\n",
    "config/routes/news.yaml": `match: { path: /news }
upstream: ${backend.url}
stream: { clientBuffer: 256k }
shared: { history: { bytes: 8m }, redial: { min: 20ms } }
`,
  });
  const server = startSluice(["serve", "--config", "config"], { cwd });
  const port = await server.port();
  const stalled = Array.from({ length: 20 }, () => openStream(port, { path: "/news", paused: true }));
  const readers = [new Reader(port), new Reader(port)];
  const request = await backend.nextRequest();
  const before = residentBytes(server.pid, "VmRSS");
  pump(request);
  await eventually(() => readers.every(({ last }) => last === EVENTS), "the last event", {
    timeoutMs: 60_000,
    everyMs: 50,
  });
  for (const { faults } of readers) expect(faults).toEqual([]);
  const grown = residentBytes(server.pid, "VmHWM") - before;
  // Room for the history, the sockets and the garbage collector; the stream itself was half a gigabyte.
  expect(grown).toBeLessThan(200 * MiB);
  const ends = () =>
    server.lines().filter(({ msg, endReason }) => msg === "request" && endReason === "slow_client");
  await eventually(() => ends().length >= stalled.length, "the end of those that take nothing", {
    timeoutMs: 10_000,
  });
  for (const { socket } of stalled) socket.destroy();
  expect(backend.requests).toHaveLength(1);
}, 120_000);
