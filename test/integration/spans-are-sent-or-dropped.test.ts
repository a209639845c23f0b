import { expect, test } from "vitest";
import { samplesIn } from "../support/admin.ts";
import { refusedPort, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { startOtlpReceiver } from "../support/otlp-receiver.ts";
import { event, subscribe } from "../support/shared.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";
import { startTraced } from "../support/traced.ts";
import { fetchOnce, serveWorkers } from "../support/workers.ts";

const MOCK = { main: { match: { path: "/*" }, mock: { body: "x" } } };

const samplesOf = async ({ adminUrl }: GatewayFixture) =>
  samplesIn(await (await fetch(`${adminUrl}/metrics`)).text());

const dropped = async (gateway: GatewayFixture, reason: "queue" | "receiver") =>
  (await samplesOf(gateway)).get(`sluice_trace_spans_dropped_total{reason="${reason}"}`) ?? 0;

test("requests go to the receiver's path, with the configured fields and name, as often as the sample says", async () => {
  const tracing = { headers: { "X-Key": "k1" }, service: "edge", sample: 0.5 };
  const { gateway, receiver } = await startTraced(MOCK, {}, tracing);
  for (let asked = 0; asked < 200; asked++) await (await fetch(gateway.url)).text();
  await gateway.drain();
  expect(receiver.spans.length).toBeGreaterThan(50);
  expect(receiver.spans.length).toBeLessThan(150);
  const [span] = receiver.spans;
  expect(span?.resource["service.name"]).toBe("edge");
  expect(receiver.requests[0]).toMatchObject({ path: "/v1/traces", headers: { "x-key": "k1" } });
  expect(receiver.faults).toEqual([]);
});

test("while the receiver is away, spans are dropped, counted and logged once, and requests do not notice", async () => {
  const port = await refusedPort();
  const gateway = await startGateway({
    routes: MOCK,
    server: { admin: 0, tracing: { otlp: `http://127.0.0.1:${port}`, interval: "10ms", timeout: "100ms" } },
  });
  for (const count of [1, 2, 3]) {
    expect((await fetch(gateway.url)).status).toBe(200);
    await eventually(async () => (await dropped(gateway, "receiver")) === count, `drop ${count}`);
  }
  const lines = () => gateway.log.filter(({ msg }) => String(msg).startsWith("spans are"));
  expect(lines()).toMatchObject([{ code: "spans_dropped", reason: expect.stringContaining("ECONNREFUSED") }]);

  const receiver = await startOtlpReceiver(port);
  await fetch(gateway.url);
  await eventually(() => receiver.spans.length === 1, "a span");
  await eventually(() => lines().length === 2, "the line of its return");
  expect(lines()[1]?.msg).toBe("spans are sent again");
  expect((await samplesOf(gateway)).get("sluice_trace_spans_exported_total")).toBe(1);
});

test("a receiver that does not respond fills the queue and nothing else, and holds no end", async () => {
  const { gateway, receiver } = await startTraced(MOCK, { admin: 0 }, { queue: 4, timeout: "60s" });
  receiver.status = undefined;
  for (let asked = 0; asked < 20; asked++) expect((await fetch(gateway.url)).status).toBe(200);
  expect(await dropped(gateway, "queue")).toBe(16);
  expect(receiver.requests.length).toBeGreaterThan(0);
  await gateway.drain();
  expect(gateway.log.filter(({ code }) => code === "spans_dropped")).toMatchObject([
    { reason: "tracing.queue is full" },
  ]);
});

test("a gateway that closes sends its last spans, also those of the streams that it ends", async () => {
  const backend = await startBackend((request) => {
    request.openStream();
    request.emit(event("1"));
  });
  const shared = { match: { path: "/news" }, upstream: backend.url, shared: {} };
  const { gateway, receiver } = await startTraced({ ...MOCK, shared }, {}, { interval: "60s" });
  await (await fetch(gateway.url)).text();
  await subscribe(gateway.port).received("data: 1");
  expect(receiver.spans).toHaveLength(0);
  await gateway.close();
  expect(receiver.spans.map(({ name }) => name).toSorted()).toEqual([
    "GET",
    "GET /*",
    "GET /news",
    "shared stream",
  ]);
});

test("a reload switches tracing on, to another receiver, and off; a stream is reported as it began", async () => {
  const backend = await startBackend((request) => request.openStream());
  const routes = { main: { match: { path: "/*" }, upstream: backend.url } };
  const [first, second] = [await startOtlpReceiver(), await startOtlpReceiver()];
  const to = ({ url }: { readonly url: string }) => ({ tracing: { otlp: url, interval: "10ms" } });
  const gateway = await startGateway({ routes });
  const open = async () => {
    const client = openStream(gateway.port, { headers: EVENT_SOURCE });
    await client.opened();
    return client;
  };
  const clients = [await open()];
  await gateway.reload({ routes, server: to(first) });
  clients.push(await open());
  await gateway.reload({ routes, server: to(second) });
  clients.push(await open());
  await gateway.reload({ routes });
  clients.push(await open());
  for (const [at, client] of clients.entries()) {
    client.leave();
    await gateway.requestLine(at);
  }
  await eventually(() => first.spans.length === 2 && second.spans.length === 2, "the spans of two streams");
  const parents = backend.requests.map((request) => request.field("traceparent"));
  expect(parents.map((parent) => parent?.slice(3, 35))).toEqual([
    undefined,
    first.spans[0]?.traceId,
    second.spans[0]?.traceId,
    undefined,
  ]);
});

test("each worker sends its spans, also the last ones before it exits", async () => {
  const receiver = await startOtlpReceiver();
  const served = await serveWorkers({
    routes: MOCK,
    server: { tracing: { otlp: receiver.url, interval: "60s" } },
  });
  for (let asked = 0; asked < 4; asked++) await (await fetchOnce(served.url)).text();
  served.sluice.kill("SIGTERM");
  expect(await served.sluice.ended).toMatchObject({ code: 0 });
  expect(receiver.spans).toHaveLength(4);
  expect(new Set(receiver.spans.map(({ resource }) => resource["service.instance.id"])).size).toBe(2);
  expect(
    served
      .lines("request")
      .map(({ traceId }) => traceId)
      .toSorted(),
  ).toEqual(receiver.spans.map(({ traceId }) => traceId).toSorted());
});
