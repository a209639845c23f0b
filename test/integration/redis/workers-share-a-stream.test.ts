import { expect, test } from "vitest";
import { startBackend } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { startRedis } from "../../support/redis.ts";
import { openStream } from "../../support/sse-client.ts";
import { serveWorkers } from "../../support/workers.ts";

test("clients of all workers get the events of one backend request, also when its worker is killed", async () => {
  const redis = await startRedis();
  const backend = await startBackend();
  const served = await serveWorkers({
    routes: { news: { match: { path: "/news" }, upstream: backend.url, shared: {} } },
    // The lease is longer than a worker stands still; otherwise the other worker would ask the backend, too.
    server: { redis: { url: redis.url, lease: "2s" } },
  });
  const clients = Array.from({ length: 4 }, () => openStream(served.port, { path: "/news" }));
  const request = await backend.nextRequest();
  request.openStream();
  for (const client of clients) await client.opened();
  for (const id of ["1", "2"]) request.emit(`id: ${id}\ndata: x\n\n`);
  for (const client of clients) await client.received("id: 2");
  expect(backend.requests).toHaveLength(1);
  await eventually(() => served.lines("stream opened").length === clients.length, "a log line of each");
  const opened = served.lines("stream opened").map(({ worker }) => worker);
  expect(new Set(opened)).toEqual(new Set([1, 2]));
  const [victim = 0] = served.pids();
  process.kill(victim, "SIGKILL");
  const live = () => clients.filter(({ end }) => end === undefined);
  // Connections are given to any worker that is ready, not always two to each.
  const left = opened.filter((worker) => worker !== 1).length;
  await eventually(() => live().length === left, "the end of its streams");
  const three = "id: 3\ndata: x\n\n";
  request.emit(three);
  const hasAll = () => live().every(({ text }) => text.includes(three));
  // Only one of the two asked the backend, possibly the killed one.
  await eventually(() => hasAll() || !request.connection.isOpen, "the event, or the end of the request");
  if (!hasAll()) {
    const next = await backend.nextRequest();
    expect(next.field("last-event-id")).toBe("2");
    next.openStream();
    next.emit(three);
  }
  for (const client of live()) await client.received(three);
  await served.restarted(1);
  const back = openStream(served.port, { path: "/news", headers: { "last-event-id": "1" } });
  await back.received(three);
  expect(back.text).toContain("id: 2\ndata: x\n\nid: 3");
});
