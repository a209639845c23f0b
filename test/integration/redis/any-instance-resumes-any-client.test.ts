import { expect, test } from "vitest";
import { askAdmin } from "../../support/admin.ts";
import { type Backend, type BackendRequest, refusedPort, startBackend } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../../support/gateway.ts";
import { startRedis } from "../../support/redis.ts";
import { openStream } from "../../support/sse-client.ts";

const HOST = { Host: "shared.example" };

/** Leadership and the connection to Redis must not depend on a machine that stands still for a second. */
const startInstance = (backend: Backend, redis: string, shared = {}): Promise<GatewayFixture> =>
  startGateway({
    server: { redis: { url: redis, lease: "5s", timeout: "5s" } },
    routes: {
      main: {
        match: { path: "/*" },
        upstream: backend.url,
        shared: { redial: { min: "50ms" }, ...shared },
        stream: { prelude: false },
      },
    },
  });

const listen = ({ port }: GatewayFixture, lastEventId?: string) =>
  openStream(port, {
    path: "/stream",
    headers: { ...HOST, ...(lastEventId !== undefined && { "Last-Event-ID": lastEventId }) },
  });

/** Emits events with these ids. */
const emit = (request: BackendRequest, from: number, to: number) => {
  for (let id = from; id <= to; id++) request.emit(`id: ${id}\ndata: event ${id}\n\n`);
};

const idsOf = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

test("clients of two instances share one backend request, and each instance resumes the other's clients", async () => {
  const [backend, redis] = await Promise.all([startBackend(), startRedis()]);
  const a = await startInstance(backend, redis.url);
  const b = await startInstance(backend, redis.url);
  const first = listen(a);
  const request = await backend.nextRequest();
  request.openStream();
  await first.opened();
  const second = listen(b);
  await second.opened();
  emit(request, 1, 20);
  await first.received("event 20");
  await second.received("event 20");
  expect(idsOf(second.text)).toEqual(range(1, 20));

  first.leave();
  const again = listen(b, "7");
  await again.received("event 20");
  expect(idsOf(again.text)).toEqual(range(8, 20));
  expect(again.field("sluice-resumed-from")).toBe("7");
  expect(again.text).not.toContain("sluice.gap");
  expect(backend.requests).toHaveLength(1);
});

test("an instance that closes hands its streams over, and the backend is asked for events after the last one", async () => {
  const [backend, redis] = await Promise.all([startBackend(), startRedis()]);
  const a = await startInstance(backend, redis.url);
  const b = await startInstance(backend, redis.url);
  const first = listen(a);
  const request = await backend.nextRequest();
  request.openStream();
  await first.opened();
  const second = listen(b);
  await second.opened();
  emit(request, 1, 5);
  await second.received("event 5");

  await a.close();
  const next = await backend.nextRequest();
  expect(next.field("last-event-id")).toBe("5");
  next.openStream();
  emit(next, 6, 8);
  await second.received("event 8");
  expect(idsOf(second.text)).toEqual(range(1, 8));
});

test("a refusal of the backend reaches the clients of the other instance, too", async () => {
  const [backend, redis] = await Promise.all([startBackend(), startRedis()]);
  // The refusal holds until the backend is asked again, and the second client may come late.
  const shared = { redial: { min: "10s" } };
  const a = await startInstance(backend, redis.url, shared);
  const b = await startInstance(backend, redis.url, shared);
  const first = listen(a);
  const request = await backend.nextRequest();
  const second = listen(b);
  request.respond(403, {}, "no");
  expect((await first.opened()).status).toBe(403);
  expect((await second.opened()).status).toBe(403);
  expect(backend.requests).toHaveLength(1);
});

test("without Redis the stream opens, /readyz and the metrics report it, and both recover", async () => {
  const [backend, port] = await Promise.all([startBackend(), refusedPort()]);
  const gateway = await startGateway({
    server: {
      redis: { url: `redis://127.0.0.1:${port}`, lease: "1s", timeout: "300ms" },
      admin: 0,
    },
    routes: { main: { match: { path: "/*" }, upstream: backend.url, shared: {} } },
  });
  const client = listen(gateway);
  const request = await backend.nextRequest();
  request.openStream();
  emit(request, 1, 3);
  await client.received("event 3");
  const admin = async (path: string) => fetch(gateway.adminUrl + path);
  const ready = async () => {
    const { status, text } = await askAdmin(gateway, "/readyz");
    return { status, reasons: (JSON.parse(text) as { reasons: string[] }).reasons };
  };
  expect(await ready()).toEqual({ status: 200, reasons: ["store_degraded"] });
  expect((await admin("/healthz")).status).toBe(200);
  const metrics = await (await admin("/metrics")).text();
  expect(metrics).toContain("sluice_redis_up 0");
  expect(metrics).toContain("sluice_shared_degraded 1");
  expect(gateway.log.filter(({ msg }) => msg === "redis is away")).toHaveLength(1);

  await startRedis({ options: ["--port", String(port)] });
  await eventually(async () => (await ready()).reasons.length === 0, "ready", { timeoutMs: 10_000 });
  expect(await (await admin("/metrics")).text()).toContain("sluice_redis_up 1");
  emit(request, 4, 5);
  await client.received("event 5");
  expect(idsOf(client.text)).toEqual(range(1, 5));
});

test("no log line contains the password of Redis", async () => {
  const [backend, redis] = await Promise.all([startBackend(), startRedis()]);
  await redis.client.config("SET", "requirepass", "right-canary");
  const url = `redis://:wrong-canary@127.0.0.1:${redis.port}`;
  const gateway = await startGateway({
    server: { redis: { url, lease: "1s", timeout: "300ms" }, log: { level: "debug" } },
    routes: { main: { match: { path: "/*" }, upstream: backend.url, shared: {} } },
  });
  const client = listen(gateway);
  const request = await backend.nextRequest();
  request.openStream();
  emit(request, 1, 1);
  await client.received("event 1");
  // A slow Redis may refuse the password only after the event.
  await eventually(() => gateway.log.some(({ msg }) => msg === "redis is away"), "the refusal in the log");
  expect(JSON.stringify(gateway.log)).not.toContain("canary");
});
