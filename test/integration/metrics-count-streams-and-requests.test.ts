import { expect, test } from "vitest";
import { askAdmin, metricsOf, startWithAdmin } from "../support/admin.ts";
import { refusedPort, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { openStream } from "../support/sse-client.ts";

const start = async () => {
  const backend = await startBackend();
  const gateway = await startWithAdmin({
    routes: {
      main: { match: { path: "/main/*" }, upstream: backend.url },
      down: { match: { path: "/down" }, upstream: `http://127.0.0.1:${await refusedPort()}` },
    },
  });
  return { backend, gateway };
};

test("a stream counts while it is open, and again with its reason when it has ended", async () => {
  const { backend, gateway } = await start();
  const client = openStream(gateway.port, { path: "/main/a" });
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("data: 1\n\ndata: 2\n\n");
  await client.received("data: 2\n\n");

  const during = await metricsOf(gateway);
  expect(during.get('sluice_streams_active{route="main"}')).toBe(1);
  expect(during.get('sluice_streams_active{route="down"}')).toBe(0);
  expect(during.get('sluice_stream_events_total{route="main"}')).toBe(2);

  request.emit("data: 3\n\n");
  request.endStream();
  await client.ended();
  const after = await eventually(async () => {
    const samples = await metricsOf(gateway);
    return samples.get('sluice_streams_active{route="main"}') === 0 && samples;
  }, "the end of the stream in the metrics");
  expect(after).toBeTruthy();
  const samples = await metricsOf(gateway);
  expect(samples.get('sluice_stream_events_total{route="main"}')).toBe(3);
  expect(samples.get('sluice_stream_end_total{route="main",reason="backend_ended"}')).toBe(1);
  expect(samples.get('sluice_requests_total{route="main",status="200"}')).toBe(1);
  expect(samples.get('sluice_stream_duration_seconds_count{route="main"}')).toBe(1);
  expect(samples.get('sluice_stream_first_event_seconds_count{route="main"}')).toBe(1);
  expect(samples.get('sluice_request_duration_seconds_count{route="main"}')).toBeUndefined();
});

test("ordinary requests, refusals and requests without a route are counted by status", async () => {
  const { backend, gateway } = await start();
  const client = openStream(gateway.port, { path: "/main/plain" });
  (await backend.nextRequest()).respond(201, {}, "made");
  await client.ended();
  expect((await fetch(`${gateway.url}/down`)).status).toBe(502);
  expect((await fetch(`${gateway.url}/nowhere`)).status).toBe(404);
  await gateway.requestLine(2);

  const samples = await metricsOf(gateway);
  expect(samples.get('sluice_requests_total{route="main",status="201"}')).toBe(1);
  expect(samples.get('sluice_requests_total{route="down",status="502"}')).toBe(1);
  expect(samples.get('sluice_requests_total{route="",status="404"}')).toBe(1);
  expect(samples.get('sluice_request_duration_seconds_count{route="main"}')).toBe(1);
  expect(samples.get("sluice_ready")).toBe(1);
});

test("the only backend of a route is 0 while its last attempt failed, and attempts are counted by result", async () => {
  const port = await refusedPort();
  const url = `http://127.0.0.1:${port}`;
  const gateway = await startWithAdmin({ routes: { main: { match: { path: "/*" }, upstream: url } } });
  const up = `sluice_backend_up{route="main",backend="${url}"}`;
  const attempts = (result: string) =>
    `sluice_backend_attempts_total{route="main",backend="${url}",result="${result}"}`;
  const connects = `sluice_backend_connect_seconds_count{route="main",backend="${url}"}`;
  const untried = await metricsOf(gateway);
  expect([untried.get(up), untried.get(attempts("success"))]).toEqual([1, 0]);
  await fetch(gateway.url);
  await fetch(gateway.url);
  const failing = await metricsOf(gateway);
  expect([failing.get(up), failing.get(attempts("connect_failed")), failing.get(connects)]).toEqual([
    0, 2, 0,
  ]);

  await startBackend((request) => request.respond(503), { port });
  await fetch(gateway.url);
  await fetch(gateway.url);
  const back = await metricsOf(gateway);
  // Any response shows that the backend works; the second request came on the kept connection.
  expect([back.get(up), back.get(attempts("success")), back.get(connects)]).toEqual([1, 2, 1]);
});

test("a backend that is not used after failures is 0, the others are 1", async () => {
  const [backend, port] = [await startBackend((request) => request.respond()), await refusedPort()];
  const gateway = await startWithAdmin({
    routes: {
      pool: {
        match: { path: "/*" },
        upstream: { backends: [{ url: `http://127.0.0.1:${port}`, maxFails: 1 }, { url: backend.url }] },
      },
    },
  });
  await eventually(async () => {
    await fetch(gateway.url);
    const samples = await metricsOf(gateway);
    return samples.get(`sluice_backend_up{route="pool",backend="http://127.0.0.1:${port}"}`) === 0;
  }, "the backend to be out");
  const samples = await metricsOf(gateway);
  expect(samples.get(`sluice_backend_up{route="pool",backend="${backend.url}"}`)).toBe(1);
});

test("process and reload metrics exist from the start, in Prometheus format", async () => {
  const { gateway } = await start();
  const { status, headers, text } = await askAdmin(gateway, "/metrics");
  expect(status).toBe(200);
  expect(headers["content-type"]).toContain("text/plain; version=0.0.4");
  for (const name of [
    'sluice_config_reloads_total{result="success"} 0',
    'sluice_config_reloads_total{result="failure"} 0',
    // Not the value: the gateway runs in this process, which may have stalled.
    "sluice_event_loop_stalls_total ",
    "process_open_fds ",
    "process_max_fds ",
    "nodejs_eventloop_lag_max_seconds ",
    "process_resident_memory_bytes ",
  ]) {
    expect(text).toContain(`\n${name}`);
  }
});
