import { expect, test } from "vitest";
import { askAdmin, startWithAdmin } from "../support/admin.ts";
import { startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

test("a draining gateway is alive but not ready, and gives the reason", async () => {
  const backend = await startBackend();
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/*" }, upstream: backend.url } },
  });
  const health = async () => (await askAdmin(gateway, "/healthz")).status;
  const ready = await askAdmin(gateway, "/readyz");
  expect(await health()).toBe(200);
  expect([ready.status, JSON.parse(ready.text)]).toEqual([200, { status: "ready", reasons: [] }]);

  const client = openStream(gateway.port, { headers: EVENT_SOURCE });
  const request = await backend.nextRequest();
  request.openStream();
  // During an event, so that the drain has to wait.
  request.emit("data: half");
  await client.received("half");
  const closed = gateway.close();
  const draining = await askAdmin(gateway, "/readyz");
  expect([draining.status, JSON.parse(draining.text)]).toEqual([
    503,
    { status: "not ready", reasons: ["draining"] },
  ]);
  expect(await health()).toBe(200);
  request.emit("\n\n");
  await client.ended();
  await closed;
  await eventually(
    () =>
      health().then(
        () => false,
        () => true,
      ),
    "the admin listener to close",
  );
});

test("health checks get a response while every place for a stream is taken", async () => {
  const backend = await startBackend();
  const gateway = await startWithAdmin({
    routes: { main: { match: { path: "/*" }, upstream: backend.url } },
    server: { limits: { streams: 1, connections: 1 } },
  });
  const client = openStream(gateway.port, { headers: { Accept: "text/event-stream" } });
  (await backend.nextRequest()).openStream();
  await client.opened();
  expect((await fetch(gateway.url, { headers: { Accept: "text/event-stream" } })).status).toBe(503);
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    expect((await askAdmin(gateway, path)).status).toBe(200);
  }
});
