import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { samplesIn } from "../support/admin.ts";
import { afterTest } from "../support/after-test.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { openRaw } from "../support/raw-client.ts";
import { directoryOf, startSluice, writeFiles } from "../support/sluice-process.ts";
import { openStream } from "../support/sse-client.ts";

/** Enough for Node to load its modules, which opens many files at once. */
const FILES = 200;
const LIMITED = ["sh", "-c", `ulimit -n ${FILES} && exec "$@"`, "sh"];
/** `off`, because `auto` would refuse connections long before. */
const SERVER = "listen: 127.0.0.1:0\nadmin: 0\nlimits: { connections: off, streams: off }\n";

/** Starts a process with few files, an open stream and an idle connection. */
async function serve() {
  const backend = await startBackend();
  const route = `match: { path: "/*" }\nupstream: ${backend.url}\ncors: true\n`;
  const cwd = directoryOf({ "config/sluice.yaml": SERVER, "config/routes/main.yaml": route });
  const sluice = startSluice(["serve"], { cwd, under: LIMITED });
  await sluice.logged("ready");
  const port = await sluice.port();
  const stream = openStream(port);
  const request = await backend.nextRequest();
  request.openStream();
  await stream.opened();
  const admin = `http://${String((await sluice.logged("admin listening"))["address"])}`;
  const ask = (path: string) => fetch(admin + path, { headers: { Connection: "close" } });
  const samples = async () => samplesIn(await (await ask("/metrics")).text());
  return { cwd, sluice, port, backend, stream, request, ask, samples };
}

/**
 * Opens more idle connections than there are files, and opens closed ones again until the returned function is
 * called.
 */
function crowd(port: number): () => void {
  const sockets = new Set<Socket>();
  let isOver = false;
  const come = () => {
    if (isOver) return;
    const socket = connect(port, "127.0.0.1");
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      setTimeout(come, 20);
    });
  };
  for (let count = 0; count < FILES + 50; count++) come();
  const leave = () => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
  };
  afterTest(leave);
  return leave;
}

test("without a free file the gateway logs it, answers probes and scrapes, and streams go on", async () => {
  const { cwd, sluice, port, stream, request, ask, samples } = await serve();
  const leave = crowd(port);
  expect(await sluice.logged("out of open files: new connections are refused")).toMatchObject({
    openFiles: FILES,
  });
  // On connections of their own, as probes send them.
  for (let count = 0; count < 10; count++) expect((await ask("/healthz")).status).toBe(200);
  expect(await (await ask("/readyz")).json()).toEqual({ status: "not ready", reasons: ["out_of_files"] });
  const { sluice_out_of_files_total: times } = Object.fromEntries(await samples());
  expect(times).toBeGreaterThan(0);
  request.emit("data: still here\n\n");
  await stream.received("data: still here");
  writeFiles(cwd, { "config/routes/more.yaml": "match: { path: /more }\nmock: { status: 200 }\n" });
  await sluice.logged("reloaded");

  const startedAt = performance.now();
  leave();
  await sluice.logged("open files are free again");
  // The gateway checks four times a second; idle connections would be closed only after a minute.
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  expect((await ask("/readyz")).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${port}/more`)).status).toBe(200);
  expect(stream.end).toBeUndefined();
});

test("new clients get a 503 that a page can read, or are closed, without a dial", async () => {
  const { sluice, port, backend } = await serve();
  // An open connection: its request needs a file for the backend.
  const kept = await openRaw(port);
  kept.send("GET /more HTTP/1.1\r\nHost: a\r\nX-Half: 1\r\n");
  const leave = crowd(port);
  await sluice.logged("out of open files: new connections are refused");
  kept.send("\r\n");
  await eventually(() => kept.ending !== "open", "the connection's end");
  expect(kept.status).toBe(503);
  expect(kept.text).toMatch(/\r\nRetry-After: \d+\r\n/);
  expect(kept.text).toContain("\r\nAccess-Control-Allow-Origin: *\r\n");
  expect(kept.text).toContain("SLUICE.0013");
  expect(backend.requests.length).toBe(1);
  leave();
  await sluice.logged("open files are free again");
  const next = openStream(port);
  (await backend.nextRequest()).openStream();
  expect((await next.opened()).status).toBe(200);
});

test("many clients that reconnect again and again do not keep a core busy", async () => {
  const { sluice, port, samples } = await serve();
  crowd(port);
  await sluice.logged("out of open files: new connections are refused");
  const cpu = async () => (await samples()).get("process_cpu_seconds_total") ?? 0;
  const startedAt = performance.now();
  const before = await cpu();
  await delay(1_000);
  const used = (await cpu()) - before;
  // CPU per elapsed time, which is more than a second on a busy machine.
  expect(used / ((performance.now() - startedAt) / 1_000)).toBeLessThan(0.6);
});
