import { performance } from "node:perf_hooks";
import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";
import { isAlive, serveWorkers } from "../support/workers.ts";

/** Starts two workers with four streams. */
async function serveStreams(drain: Readonly<Record<string, unknown>>, under: readonly string[] = []) {
  const backend = await startBackend((request) => {
    request.openStream();
    request.emit("data: x\n\n");
  });
  const setup = { routes: { main: { match: { path: "/*" }, upstream: backend.url } }, server: { drain } };
  const served = await serveWorkers(setup, { under });
  const streams = [];
  for (let n = 0; n < 4; n++) {
    const stream = openStream(served.port, { headers: EVENT_SOURCE });
    await stream.received("data: x");
    streams.push(stream);
  }
  return { ...served, backend, streams };
}

test("SIGTERM ends the streams of all workers, each with a time to reconnect, and exits with 0 in time", async () => {
  // So long that the ends do not all fall into one second in which a machine stands still.
  const { sluice, streams, admin, pids } = await serveStreams({ timeout: "3s", retry: "4s" });
  const workers = pids();
  const startedAt = performance.now();
  sluice.kill("SIGTERM");
  await eventually(async () => (await fetch(`${admin}/readyz`)).status === 503, "not to be ready");
  for (const stream of streams) {
    expect(await stream.ended()).toBe("clean");
    expect(stream.text.endsWith("data: x\n\nretry: 4000\n\n")).toBe(true);
  }
  const times = streams.map(({ endedAt }) => endedAt).sort((a, b) => a - b);
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(100);
  expect(await sluice.ended).toMatchObject({ code: 0, stderr: "" });
  // Workers are killed half a second after the timeout; the rest allows for a busy machine.
  expect(performance.now() - startedAt).toBeLessThan(5000);
  expect(workers.filter(isAlive)).toEqual([]);
});

test("SIGINT, which a terminal also sends to the workers, does not wait for a timeout", async () => {
  const { sluice, streams, pids } = await serveStreams({ timeout: "30s" });
  const startedAt = performance.now();
  for (const pid of pids()) process.kill(pid, "SIGINT");
  sluice.kill("SIGINT");
  expect(await sluice.ended).toMatchObject({ code: 0 });
  // The gateway waits 5 s for open requests.
  expect(performance.now() - startedAt).toBeLessThan(4000);
  for (const stream of streams) expect(await stream.ended()).toBe("clean");
});

test("a second signal ends all processes at once, with exit code 1", async () => {
  const { sluice, pids } = await serveStreams({ delay: "20s", timeout: "20s" });
  const workers = pids();
  sluice.kill("SIGTERM");
  await sluice.logged("stopping");
  const startedAt = performance.now();
  sluice.kill("SIGTERM");
  expect(await sluice.ended).toMatchObject({ code: 1 });
  expect(performance.now() - startedAt).toBeLessThan(8000);
  expect(workers.filter(isAlive)).toEqual([]);
});

test("workers whose primary was killed drain and exit", async () => {
  const { sluice, streams, pids } = await serveStreams({ timeout: "1500ms", retry: "4s" });
  const workers = pids();
  expect(workers).toHaveLength(2);
  sluice.kill("SIGKILL");
  for (const stream of streams) {
    expect(await stream.ended()).toBe("clean");
    expect(stream.text.endsWith("retry: 4000\n\n")).toBe(true);
  }
  await eventually(() => workers.every((pid) => !isAlive(pid)), "the end of the workers");
});

test("a stopped worker does not delay the end", async () => {
  const { sluice, pids } = await serveStreams({ timeout: "500ms" });
  const [stuck = 0] = pids();
  process.kill(stuck, "SIGSTOP");
  const startedAt = performance.now();
  sluice.kill("SIGTERM");
  expect(await sluice.ended).toMatchObject({ code: 0 });
  // One second after the signal, not after the 5 s for workers that are ended at once.
  expect(performance.now() - startedAt).toBeLessThan(4000);
  expect(isAlive(stuck)).toBe(false);
});

test("as process 1 of a container the primary drains all workers", async () => {
  const under = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
  // Streams end within four fifths of the timeout, and workers are killed half a second after it: one second lies
  // between.
  const { streams, sluice, pids } = await serveStreams({ timeout: "2500ms" }, under);
  // The only child of unshare.
  const [first = 0] = pids();
  process.kill(first, "SIGTERM");
  expect(await sluice.ended).toMatchObject({ code: 0 });
  for (const stream of streams) expect(await stream.ended()).toBe("clean");
});
