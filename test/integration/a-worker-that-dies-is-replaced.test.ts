import { createServer } from "node:net";
import { expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { openRaw } from "../support/raw-client.ts";
import { openStream } from "../support/sse-client.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

const TICKS = {
  match: { path: "/s" },
  mock: { events: [{ data: "x", after: "50ms" }], repeat: true },
  limits: { streams: 4 },
};
const HELLO = { match: { path: "/*" }, mock: { status: 200, body: "hello" } };

test("other workers go on, the places of the dead worker are free, and no counter decreases", async () => {
  const served = await serveWorkers({ routes: { ticks: TICKS, main: HELLO } });
  const streams: ReturnType<typeof openStream>[] = [];
  for (let n = 0; n < 4; n++) {
    const stream = openStream(served.port, { path: "/s" });
    await stream.received("data: x");
    streams.push(stream);
  }
  for (let n = 0; n < 6; n++) await (await fetchOnce(served.url)).text();
  const requests = 'sluice_requests_total{route="main",status="200"}';
  await eventually(async () => (await served.metrics()).get(requests) === 6, "six requests");
  const [victim = 0, other = 0] = served.pids();
  process.kill(victim, "SIGKILL");
  await eventually(
    () => streams.filter(({ end }) => end !== undefined).length === 2,
    "the end of two streams",
  );
  expect((await served.metrics()).get(requests)).toBe(6);
  for (let n = 0; n < 4; n++) expect((await fetchOnce(served.url)).status).toBe(200);
  await served.restarted(1);
  expect(served.pids()).toHaveLength(2);
  expect(served.pids()).toContain(other);
  expect(served.pids()).not.toContain(victim);
  expect(served.lines("worker died")).toEqual([
    expect.objectContaining({ pid: victim, signal: "SIGKILL", code: null, level: 50 }),
  ]);
  await eventually(async () => (await served.metrics()).get(requests) === 10, "ten requests");
  const live = streams.filter(({ end }) => end === undefined);
  const lengths = live.map(({ body }) => body.length);
  await eventually(() => live.every(({ body }, at) => body.length > (lengths[at] ?? 0)), "further events");
  // Two open streams and two new ones, one of them in the new worker.
  const more = [openStream(served.port, { path: "/s" }), openStream(served.port, { path: "/s" })];
  for (const stream of more) await stream.received("data: x");
  const fifth = openStream(served.port, { path: "/s" });
  await eventually(() => fifth.head?.status === 503, "a refusal");
});

test("when all workers die the gateway is not ready, and all restart on the same address", async () => {
  const free = await serveWorkers({ routes: { main: HELLO } });
  const { port } = free;
  free.sluice.kill("SIGTERM");
  await free.sluice.ended;
  const served = await serveWorkers({ routes: { main: HELLO }, server: { listen: `127.0.0.1:${port}` } });
  const ready = async () => (await fetch(`${served.admin}/readyz`)).status;
  expect(await ready()).toBe(200);
  for (const pid of served.pids()) process.kill(pid, "SIGKILL");
  await eventually(async () => (await ready()) === 503, "not to be ready", { everyMs: 1 });
  await served.restarted(2);
  expect(await ready()).toBe(200);
  expect(await (await fetchOnce(served.url)).text()).toBe("hello");
});

test("if no other worker serves, a worker that cannot start ends `serve` with 1 and the reason", async () => {
  const free = await serveWorkers({ routes: { main: HELLO } });
  free.sluice.kill("SIGTERM");
  await free.sluice.ended;
  const served = await serveWorkers({
    routes: { main: HELLO },
    server: { listen: `127.0.0.1:${free.port}` },
  });
  const thief = createServer();
  for (const pid of served.pids()) process.kill(pid, "SIGKILL");
  await eventually(
    () =>
      new Promise<boolean>((resolve) => {
        thief.once("error", () => resolve(false));
        thief.listen(free.port, "127.0.0.1", () => resolve(true));
      }),
    "the address",
    { timeoutMs: 5000, everyMs: 1 },
  );
  const ended = await served.sluice.ended;
  thief.close();
  expect(ended.code).toBe(1);
  const last = served.sluice.lines().at(-1);
  expect(last).toMatchObject({ msg: "no worker can start", err: { code: "EADDRINUSE" } });
});

test("a connection that a worker was given but did not take is closed, and its client tries another worker", async () => {
  const served = await serveWorkers({ routes: { main: HELLO } });
  const [stuck = 0] = served.pids();
  process.kill(stuck, "SIGSTOP");
  const clients = await Promise.all([openRaw(served.port), openRaw(served.port), openRaw(served.port)]);
  for (const client of clients) client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  // The stopped worker gets no second connection before it has taken the first.
  await eventually(() => clients.filter(({ status }) => status === 200).length === 2, "two answers");
  const waiting = clients.find(({ status }) => status === undefined);
  process.kill(stuck, "SIGKILL");
  await waiting?.ended();
  expect(waiting?.text).toBe("");
  expect((await fetchOnce(served.url)).status).toBe(200);
});
