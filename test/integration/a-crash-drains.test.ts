import { expect, test } from "vitest";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { directoryOf, startSluice } from "../support/sluice-process.ts";
import { openStream } from "../support/sse-client.ts";
import { fetchOnce, isAlive, serveWorkers } from "../support/workers.ts";

// An unexpected error must not abort every stream of the process: EventSource clients reconnect after a clean end
// without a lost event, to the next process.

/** Throws an uncaught error in the process that gets SIGUSR2. */
const PLANT = `--import=data:text/javascript,process.on('SIGUSR2',()=>{throw%20new%20Error('planted')})`;

async function startStreaming() {
  const backend = await startBackend((request) => request.openStream());
  return { backend, route: { match: { path: "/*" }, upstream: backend.url } };
}

const opened = async (port: number) => {
  const client = openStream(port, { headers: { Accept: "text/event-stream" } });
  expect((await client.opened()).status).toBe(200);
  return client;
};

test("a process that crashes logs it, drains its streams and exits with 1", async () => {
  const { backend } = await startStreaming();
  const cwd = directoryOf({
    "config/sluice.yaml": "listen: 127.0.0.1:0\nadmin: false\ndrain: { timeout: 1s }\n",
    "config/routes/all.yaml": `match: { path: "/*" }\nupstream: ${backend.url}\n`,
  });
  const sluice = startSluice(["serve"], { cwd, env: { NODE_OPTIONS: PLANT } });
  const port = await sluice.port();
  const client = await opened(port);
  backend.requests[0]?.emit("data: 1\n\n");
  await client.received("data: 1\n\n");
  sluice.kill("SIGUSR2");
  expect(await client.ended()).toBe("clean");
  expect(client.text).toContain("retry:");
  expect(await sluice.ended).toMatchObject({ code: 1 });
  const fatal = sluice.lines().filter(({ level }) => level === 60);
  expect(fatal).toMatchObject([{ msg: "uncaught exception", err: { message: "planted" } }]);
  expect(sluice.lines().find(({ msg }) => msg === "request")).toMatchObject({ endReason: "drained" });
});

test("a worker that crashes drains once its replacement serves", async () => {
  const { backend, route } = await startStreaming();
  const gateway = await serveWorkers({ routes: { all: route } }, { env: { NODE_OPTIONS: PLANT } });
  const clients = [await opened(gateway.port), await opened(gateway.port)];
  const [victim = 0, ...others] = gateway.pids();
  process.kill(victim, "SIGUSR2");
  await gateway.restarted(1);
  await eventually(() => !isAlive(victim), "the end of the worker that crashed");
  expect(others.every(isAlive)).toBe(true);
  expect(gateway.pids().length).toBe(2);
  await eventually(() => clients.filter(({ end }) => end === "clean").length === 1, "the end of its stream");
  expect(clients.filter(({ end }) => end === undefined).length).toBe(1);
  expect(gateway.lines("worker crashed")).toMatchObject([{ pid: victim }]);
  expect(gateway.lines("worker died")).toEqual([]);
  const served = backend.requests.length;
  void fetchOnce(gateway.url).catch(() => undefined);
  await eventually(() => backend.requests.length === served + 1, "a request that is served");
});
