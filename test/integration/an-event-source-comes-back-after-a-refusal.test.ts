import { describe, expect, test } from "vitest";
import { refusedPort, startBackend } from "../support/backend.ts";
import { startGateway, startGatewayTo } from "../support/gateway.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

const SSE = { Accept: "text/event-stream" };
const ROUTE = { stream: { onRefusal: "retry" }, cors: true };

/** Waits for the end of an empty stream; resolves with its reconnection time in ms. */
async function comeBack(client: StreamClient): Promise<number> {
  await client.ended();
  expect(client.head?.status).toBe(200);
  expect(client.field("content-type")).toBe("text/event-stream");
  expect(client.field("x-accel-buffering")).toBe("no");
  expect(client.field("access-control-allow-origin")).toBe("*");
  expect(client.field("retry-after")).toBeUndefined();
  const [, reason, retry] = /^:(\{.*\})\nretry: (\d+)\n\n$/.exec(client.text) ?? [];
  expect(JSON.parse(reason ?? "")).toMatchObject({ error_code: expect.any(String) });
  return Number(retry);
}

describe("with onRefusal: retry", () => {
  test("an unreachable backend is an empty stream with a reconnection time, and the log has the reason", async () => {
    const gateway = await startGatewayTo(`http://127.0.0.1:${await refusedPort()}`, ROUTE);
    const retry = await comeBack(openStream(gateway.port, { path: "/", headers: SSE }));
    expect(retry).toBeGreaterThanOrEqual(2000);
    expect(retry).toBeLessThanOrEqual(11_000);
    expect(await gateway.requestLine()).toMatchObject({
      status: 200,
      endReason: "backend_failed",
      err: { code: "backend_connect_failed" },
    });
  });

  test.each([429, 502, 503, 504])(
    "a backend's own %i becomes an empty stream too, with the backend's Retry-After as its time",
    async (status) => {
      const backend = await startBackend();
      const gateway = await startGatewayTo(backend.url, ROUTE);
      const client = openStream(gateway.port, { path: "/", headers: SSE });
      (await backend.nextRequest()).respond(status, { "Retry-After": "40" }, "busy");
      const retry = await comeBack(client);
      expect(retry).toBeGreaterThanOrEqual(40_000);
      expect(retry).toBeLessThanOrEqual(41_000);
    },
  );

  test("a route's limit too", async () => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, { ...ROUTE, limits: { streams: 1 } });
    const first = openStream(gateway.port, { path: "/", headers: SSE });
    (await backend.nextRequest()).openStream();
    await first.opened();
    await comeBack(openStream(gateway.port, { path: "/", headers: SSE }));
  });

  test.each([400, 401, 403, 404, 410, 500])("a backend's %i is not changed", async (status) => {
    const backend = await startBackend();
    const gateway = await startGatewayTo(backend.url, ROUTE);
    const client = openStream(gateway.port, { path: "/", headers: SSE });
    (await backend.nextRequest()).respond(status, {}, "no");
    await client.ended();
    expect(client.head?.status).toBe(status);
  });

  test("sluice's own 401, 403 and 404 are not changed", async () => {
    const gateway = await startGateway({
      routes: {
        signed: {
          match: { path: "/signed" },
          upstream: "http://127.0.0.1:1",
          auth: { app: ["web"] },
          ...ROUTE,
        },
        closed: {
          match: { path: "/closed" },
          upstream: "http://127.0.0.1:1",
          access: { allow: [], deny: ["127.0.0.1"] },
          ...ROUTE,
        },
      },
      apps: { web: { key: "key", secret: "secret" } },
    });
    for (const [path, status] of [
      ["/signed", 401],
      ["/closed", 403],
      ["/none", 404],
    ] as const) {
      const client = openStream(gateway.port, { path, headers: SSE });
      await client.ended();
      expect(client.head?.status).toBe(status);
    }
  });

  test("POST, and a GET that asks for something else, get the status", async () => {
    const gateway = await startGatewayTo(`http://127.0.0.1:${await refusedPort()}`, ROUTE);
    for (const request of [{ method: "POST", headers: SSE }, { headers: { Accept: "application/json" } }]) {
      const client = openStream(gateway.port, { path: "/", ...request });
      await client.ended();
      expect(client.head?.status).toBe(502);
    }
  });
});

test("without it the status is sent", async () => {
  const gateway = await startGatewayTo(`http://127.0.0.1:${await refusedPort()}`, { cors: true });
  const client = openStream(gateway.port, { path: "/", headers: SSE });
  await client.ended();
  expect(client.head?.status).toBe(502);
});
