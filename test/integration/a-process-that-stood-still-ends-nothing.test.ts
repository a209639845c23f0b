import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { samplesIn } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { openRaw } from "../support/raw-client.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";
import { openStream } from "../support/sse-client.ts";

/** More events than all buffers on the way hold. */
const EVENTS = 120;
/** How long the process stands still: longer than each of the timeouts below. */
const STILL_MS = 3_000;

async function serve() {
  const backend = await startBackend();
  const upstream = `upstream: { backends: [{ url: "${backend.url}" }], responseHeaderTimeout: 2s, connectTimeout: 2s }`;
  const stream = "stream: { idleTimeout: 2s, sendTimeout: 2s, heartbeat: off }";
  const cwd = directoryOf({
    "config/sluice.yaml": "listen: 127.0.0.1:0\nadmin: 0\nlimits: { requestTimeout: 2s }\n",
    "config/routes/main.yaml": `match: { path: "/*" }\n${upstream}\n${stream}\n`,
    "config/routes/shared.yaml": `match: { path: /shared }\n${upstream}\n${stream}\nshared: {}\n`,
  });
  const sluice = startSluice(["serve"], { cwd });
  await sluice.logged("ready");
  const port = await sluice.port();
  const open = async (path: string) => {
    const client = openStream(port, { path });
    const request = await backend.nextRequest();
    request.openStream();
    request.emit("data: one\n\n");
    await client.received("data: one");
    return { client, request };
  };
  /** Stops the process for longer than any timeout; clients and backends do `meanwhile`. */
  const standStill = async (meanwhile: () => void) => {
    sluice.kill("SIGSTOP");
    await delay(STILL_MS / 2);
    meanwhile();
    await delay(STILL_MS / 2);
    sluice.kill("SIGCONT");
  };
  return { sluice, port, backend, open, standStill };
}

test("data that arrived while the process stood still counts as in time, for streams, heads and requests", async () => {
  const { sluice, port, backend, open, standStill } = await serve();
  const streams = [await open("/a"), await open("/b"), await open("/shared")];
  const waiting = openStream(port, { path: "/waiting" });
  const head = await backend.nextRequest();
  const early = await openRaw(port);
  const late = openStream(port, { path: "/late" });
  const lateRequest = await backend.nextRequest();
  await standStill(() => {
    for (const { request } of streams) request.emit("data: two\n\n");
    for (const request of [head, lateRequest]) request.respond(200, {}, "in time");
    early.send("GET /early HTTP/1.1\r\nHost: a\r\n\r\n");
  });
  for (const { client } of streams) await client.received("data: two");
  expect([(await waiting.opened()).status, (await late.opened()).status]).toEqual([200, 200]);
  (await backend.nextRequest()).respond(200, {}, "early");
  await eventually(() => early.text.includes("early"), "the answer to who connected before");
  for (const { request, client } of streams) {
    request.emit("data: three\n\n");
    await client.received("data: three");
    expect(client.end).toBeUndefined();
  }
  expect(backend.requests.length).toBe(6);
  // The watchdog logs the reason why everything was late.
  const stalls = () => sluice.lines().filter(({ msg }) => msg === "event loop stalled");
  // Stalls that a busy machine causes by itself are shorter.
  const long = () => stalls().filter(({ stalledMs }) => Number(stalledMs) > STILL_MS / 2);
  await eventually(() => long().length > 0, "the watchdog's line");
  expect(long()).toEqual([expect.objectContaining({ level: 40 })]);
  const admin = String((await sluice.logged("admin listening"))["address"]);
  const samples = samplesIn(await (await fetch(`http://${admin}/metrics`)).text());
  expect(samples.get("sluice_event_loop_stalls_total")).toBe(stalls().length);
});

test("a client that could not be written to meanwhile is not a slow client", async () => {
  const { backend, port, standStill } = await serve();
  const client = openStream(port, { path: "/a", paused: true });
  const request = await backend.nextRequest();
  request.openStream();
  const event = `data: ${"x".repeat(100_000)}\n\n`;
  for (let count = 0; count < EVENTS; count++) request.emit(event);
  const { socket } = request.connection;
  let left = Number.POSITIVE_INFINITY;
  const isHeldBack = () => {
    const before = left;
    left = socket.writableLength;
    return left > 0 && left === before;
  };
  await eventually(isHeldBack, "the backend to be held back");
  await standStill(() => client.socket.resume());
  await eventually(() => client.bodyLength >= EVENTS * event.length, "all that was sent");
  expect(client.end).toBeUndefined();
});

test("missed heartbeats are not sent later", async () => {
  const backend = await startBackend();
  const cwd = directoryOf({
    "config/sluice.yaml": "listen: 127.0.0.1:0\nadmin: false\n",
    "config/routes/main.yaml": `match: { path: "/*" }\nupstream: ${backend.url}\nstream: { heartbeat: 100ms }\n`,
  });
  const sluice = startSluice(["serve"], { cwd });
  await sluice.logged("ready");
  const client = openStream(await sluice.port());
  (await backend.nextRequest()).openStream();
  await client.received(":\n:\n");
  sluice.kill("SIGSTOP");
  await delay(STILL_MS / 2);
  // By now all earlier bytes have been read, even if this process stood still as well.
  const before = client.bodyLength;
  sluice.kill("SIGCONT");
  const wentOnAt = performance.now();
  const beats = () => (client.bodyLength - before) / ":\n".length;
  await eventually(() => beats() > 3, "heartbeats again");
  // One heartbeat for the whole stop, one that may be due by now, and then one for each interval.
  expect(beats()).toBeLessThanOrEqual(2 + (performance.now() - wentOnAt) / 100);
});
