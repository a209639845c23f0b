import { expect, test } from "vitest";
import { askAdmin, startWithAdmin } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import type { GatewayFixture } from "../support/gateway.ts";
import { ask, startResuming } from "../support/resume.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

interface Overview {
  readonly isReady: boolean;
  readonly routes: readonly {
    readonly name: string;
    readonly streams: number;
    readonly failures: number;
    readonly answers?: number;
  }[];
  readonly backends: readonly { readonly backend: string; readonly state: string }[];
  readonly ends: readonly { readonly reason: string; readonly events: number }[];
  readonly streams: { readonly total: number; readonly streams: readonly { eventsPerSecond?: number }[] };
}

const start = async () => {
  const backend = await startBackend();
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/*" }, upstream: backend.url } },
  });
  return { backend, gateway };
};

const watch = ({ adminUrl }: GatewayFixture, query = "") =>
  openStream(Number(new URL(adminUrl).port), { path: `/api/events${query}` });

const overviews = ({ text }: StreamClient): Overview[] =>
  [...text.matchAll(/^event: overview\ndata: (.*)$/gm)].map(([, json = ""]) => JSON.parse(json) as Overview);

test("the stream begins with the last minutes and sends an overview every second", async () => {
  const { backend, gateway } = await start();
  const client = openStream(gateway.port);
  const request = await backend.nextRequest();
  request.openStream();
  await client.opened();
  const watching = watch(gateway);
  await watching.opened();
  expect(watching.field("content-type")).toBe("text/event-stream");
  expect(watching.field("x-accel-buffering")).toBe("no");
  await watching.received("event: history\ndata: [");
  const emitting = setInterval(() => request.emit("data: x\n\n"), 100);
  await eventually(
    () => overviews(watching).some(({ streams }) => (streams.streams[0]?.eventsPerSecond ?? 0) > 3),
    "a rate of the stream",
  );
  clearInterval(emitting);
  expect(overviews(watching)[0]).toMatchObject({
    isReady: true,
    routes: [{ name: "main", streams: 1 }],
    backends: [{ backend: backend.url, state: "up" }],
    streams: { total: 1 },
  });
  request.connection.socket.destroy();
  await eventually(
    () => overviews(watching).at(-1)?.ends[0]?.reason === "backend_failed",
    "the end in the list of last ends",
  );
  expect(overviews(watching).at(-1)?.streams.total).toBe(0);
});

test("at most sixteen clients can watch, and a disconnect makes room", async () => {
  const { gateway } = await start();
  const watching = Array.from({ length: 16 }, () => watch(gateway));
  for (const one of watching) await one.opened();
  expect((await askAdmin(gateway, "/api/events")).status).toBe(503);
  watching[0]?.leave();
  await eventually(async () => {
    const another = watch(gateway);
    const { status } = await another.opened();
    another.leave();
    return status === 200;
  }, "room for another one");
});

test("the stream ends when the gateway closes", async () => {
  const { gateway } = await start();
  const watching = watch(gateway);
  await watching.received("event: overview");
  await gateway.close();
  await watching.ended();
});

test("it shows how many named answers a route keeps", async () => {
  const { gateway, port } = await startResuming({
    server: { admin: 0 },
    onRequest: (request) => request.openStream(),
  });
  for (const key of ["k1", "k2"]) await ask(port, { key }).opened();
  const watching = watch(gateway);
  await eventually(() => overviews(watching).some(({ routes }) => routes[0]?.answers === 2), "two answers");
});
