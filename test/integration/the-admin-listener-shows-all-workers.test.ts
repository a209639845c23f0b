import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { View } from "../../src/admin/admin-view.ts";
import { viewsIn } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

interface Listed {
  readonly total: number;
  readonly offset: number;
  readonly streams: readonly { readonly id: string; readonly ageMs: number; readonly bytes: number }[];
}

/** Opens six streams in two workers, the later ones with more bytes, and sends three requests. */
async function serveSix() {
  const backend = await startBackend((request) => {
    if (request.target === "/hello") return request.respond(200, {}, "hello");
    if (request.target === "/busy") return request.respond(503, {}, "busy");
    request.openStream();
    request.emit(`data: ${"x".repeat(Number(request.target.slice(1)))}\n\n`);
  });
  const served = await serveWorkers({
    routes: { main: { match: { path: "/*" }, upstream: backend.url, stream: { prelude: false } } },
  });
  const streams: ReturnType<typeof openStream>[] = [];
  for (let n = 1; n <= 6; n++) {
    const stream = openStream(served.port, { path: `/${n * 100}`, headers: EVENT_SOURCE });
    await stream.received("\n\n");
    streams.push(stream);
    // Each worker reports the age of its streams at the time of its answer, which differs a little between workers.
    await sleep(150);
  }
  for (let n = 0; n < 3; n++) await (await fetchOnce(`${served.url}/hello`)).text();
  const list = async (query = "") =>
    (await (await fetch(`${served.admin}/api/streams${query}`)).json()) as Listed;
  return { ...served, streams, list };
}

test("the streams of all workers are one sorted list with pages", async () => {
  const { list } = await serveSix();
  const all = await list();
  expect(all.total).toBe(6);
  expect(all.streams.map(({ bytes }) => bytes)).toEqual([108, 208, 308, 408, 508, 608]);
  expect((await list("?sort=newest")).streams.map(({ bytes }) => bytes)).toEqual([
    608, 508, 408, 308, 208, 108,
  ]);
  const second = await list("?sort=bytes&limit=4&offset=4");
  expect(second).toMatchObject({ total: 6, offset: 4 });
  expect(second.streams.map(({ bytes }) => bytes)).toEqual([208, 108]);
  // Beyond the last page the last page is shown.
  expect(await list("?limit=4&offset=400")).toMatchObject({ offset: 4 });
});

test("ending a stream reaches the worker that serves it", async () => {
  const { list, streams, admin } = await serveSix();
  const ids = (await list()).streams.map(({ id }) => id);
  for (const at of [0, 1]) {
    const answer = await fetch(`${admin}/api/streams/${ids[at]}/end`, { method: "POST" });
    expect(answer.status).toBe(200);
    expect(await streams[at]?.ended()).toBe("clean");
  }
  await eventually(async () => (await list()).total === 4, "four streams");
  expect((await fetch(`${admin}/api/streams/nobody/end`, { method: "POST" })).status).toBe(404);
});

test("metrics are summed without a label for the worker, with the same names as with one process", async () => {
  const { metrics, admin } = await serveSix();
  const samples = await metrics();
  // Every call between the processes passes the other's checks.
  const invalid = [...samples].filter(([name]) => name.startsWith("sluice_worker_messages_invalid_total"));
  expect(invalid.map(([, value]) => value)).toEqual([0, 0, 0, 0, 0]);
  expect(samples.get('sluice_streams_active{route="main"}')).toBe(6);
  expect(samples.get('sluice_stream_events_total{route="main"}')).toBe(6);
  expect(samples.get('sluice_requests_total{route="main",status="200"}')).toBe(3);
  expect(samples.get('sluice_request_duration_seconds_count{route="main"}')).toBe(3);
  expect(samples.get('sluice_request_duration_seconds_bucket{le="+Inf",route="main"}')).toBe(3);
  expect(
    [...samples].filter(([name]) => name.startsWith("sluice_backend_up")).map(([, value]) => value),
  ).toEqual([1]);
  expect(samples.get("sluice_ready")).toBe(1);
  expect(samples.get("sluice_config_last_reload_successful")).toBe(1);
  expect([...samples].find(([name]) => name.startsWith("sluice_build_info"))?.[1]).toBe(1);
  const connections = 'sluice_connections_active{listener="127.0.0.1:0",protocol="http/1.1"}';
  await eventually(async () => (await metrics()).get(connections) === 6, "the connections of both workers");
  expect(samples.get("sluice_workers")).toBe(2);
  expect(samples.get("process_start_time_seconds")).toBeLessThanOrEqual(Date.now() / 1000);
  const text = await (await fetch(`${admin}/metrics`)).text();
  expect(text).not.toMatch(/worker=|pid=/);
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  expect(names).toHaveLength(new Set(names).size);
});

test("the dashboard's event stream has all workers' streams, totals and failures every second", async () => {
  const { admin, streams, url } = await serveSix();
  for (let n = 0; n < 4; n++) await (await fetchOnce(`${url}/busy`)).text();
  const feed = openStream(Number(new URL(admin).port), { path: "/api/events?sort=rate" });
  const overviews = () => viewsIn<View>(feed.text);
  const latest = await eventually(
    () => overviews().find(({ sample }) => sample?.streams === 6),
    "a sample of six streams",
  );
  expect(latest).toMatchObject({
    isReady: true,
    obstacles: [],
    streams: { total: 6 },
    workers: { serving: 2, wanted: 2 },
    routes: [{ name: "main", streams: 6, requests: 7, failures: 4 }],
    failures: [{ route: "main", reason: "backend_status", status: 503, total: 4, recent: 4 }],
    failureSums: { refused: 0, failed: 4 },
    backends: [{ state: "up", inFlight: 6 }],
    backendsUp: 1,
  });
  streams[2]?.socket.destroy();
  await eventually(() => overviews().at(-1)?.ends.length === 1, "an end");
  expect(overviews().at(-1)?.ends).toEqual([
    expect.objectContaining({ reason: "client_gone", route: "main" }),
  ]);
  expect(overviews().at(-1)?.endCounts).toEqual({ client_gone: 1 });
});
