import { expect, it } from "vitest";
import { type Backend, startBackend } from "../../support/backend.ts";
import { openClientPage } from "../../support/client-page.ts";
import { eventually } from "../../support/eventually.ts";
import { startGateway, startGatewayTo } from "../../support/gateway.ts";
import { startPageServer } from "../../support/page-server.ts";

/** event-source-polyfill, unmodified, in Chromium and from another origin. */

const CONNECTING = 0;
const CLOSED = 2;
const headers = { Authorization: "Bearer blue", "X-Tenant": "acme" };

const methods = (backend: Backend) => backend.requests.map(({ method }) => method);

it("sends its own fields after a preflight that never reaches the backend, and resumes with the query", async () => {
  const pages = await startPageServer();
  const backend = await startBackend();
  const cors = { allowOrigins: [pages.origin], allowHeaders: ["Authorization", "X-Tenant"] };
  const gateway = await startGatewayTo(backend.url, { cors });
  const page = await openClientPage(pages.origin + pages.path);
  const url = `${gateway.url}/stream?room=1`;
  const source = await page.open("openPolyfill", "polyfill", url, { headers, types: ["tick"] });
  const request = await backend.nextRequest();
  expect(request.target).toBe("/stream?room=1");
  expect(request.field("authorization")).toBe("Bearer blue");
  expect(request.field("x-tenant")).toBe("acme");
  request.openStream();
  expect(await source.next()).toMatchObject({ type: "open" });
  for (const n of [1, 2, 3]) {
    request.emit(`id: ${n}\nevent: tick\ndata: number ${n}\n\n`);
    expect(await source.next()).toMatchObject({ type: "tick", data: `number ${n}`, id: String(n) });
  }
  request.emit("id: 4\ndata: ha");
  request.reset();
  const error = await source.next();
  expect(error).toMatchObject({ type: "error", readyState: CONNECTING });
  // After a clean end this would be empty: the broken stream must look broken.
  expect(error.failure).toMatch(/network error/i);

  const again = await backend.nextRequest();
  expect(again.target).toBe("/stream?room=1&lastEventId=3");
  expect(again.field("x-tenant")).toBe("acme");
  again.openStream();
  expect(await source.next()).toMatchObject({ type: "open" });
  again.emit("data: on\n\n");
  expect(await source.next()).toMatchObject({ type: "message", data: "on", id: "3" });
  again.endStream();
  expect(await source.next()).toMatchObject({ type: "error", readyState: CONNECTING, failure: null });
  expect(methods(backend)).toEqual(["GET", "GET"]);
});

it("fails on a route without cors, whose preflight reaches the backend", async () => {
  const pages = await startPageServer();
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url);
  const page = await openClientPage(pages.origin + pages.path);
  const source = await page.open("openPolyfill", "polyfill", `${gateway.url}/stream`, { headers });
  const preflight = await backend.nextRequest();
  expect(preflight.method).toBe("OPTIONS");
  expect(preflight.field("access-control-request-headers")).toBe("authorization,x-tenant");
  preflight.respond(204);
  expect(await source.next()).toMatchObject({ type: "error", readyState: CONNECTING });
  await source.close();
});

it("keeps a silent stream with heartbeats, and drops one without", async () => {
  const pages = await startPageServer();
  const backend = await startBackend();
  const upstream = backend.url;
  const gateway = await startGateway({
    routes: {
      beating: { match: { path: "/beating" }, upstream, cors: true, stream: { heartbeat: "250ms" } },
      still: { match: { path: "/still" }, upstream, cors: true, stream: { heartbeat: "off" } },
    },
  });
  const page = await openClientPage(pages.origin + pages.path);
  // The polyfill's silence timer is 45 s. This process sends the heartbeats, and may stall for a second.
  const options = { heartbeatTimeout: 2500 };
  const beating = await page.open("openPolyfill", "beating", `${gateway.url}/beating`, options);
  const request = await backend.nextRequest();
  request.openStream();
  expect(await beating.next()).toMatchObject({ type: "open" });

  const still = await page.open("openPolyfill", "still", `${gateway.url}/still`, options);
  const stillRequest = await backend.nextRequest();
  stillRequest.openStream();
  expect(await still.next()).toMatchObject({ type: "open" });
  const silence = await still.next();
  expect(silence).toMatchObject({ type: "error", readyState: CONNECTING });
  expect(silence.failure).toMatch(/No activity within 2500 milliseconds/);
  await eventually(() => stillRequest.connection.closedBy, "the cancellation at the backend");
  await still.close();

  expect(beating.waiting).toEqual([]);
  request.emit("data: still here\n\n");
  expect(await beating.next()).toMatchObject({ type: "message", data: "still here" });
});

it("closes on the gateway's 502 and reads its status", async () => {
  const pages = await startPageServer();
  const backend = await startBackend((request) => request.reset());
  const gateway = await startGatewayTo(backend.url, { cors: true });
  const page = await openClientPage(pages.origin + pages.path);
  const source = await page.open("openPolyfill", "polyfill", `${gateway.url}/stream`);
  expect(await source.next()).toMatchObject({ type: "error", readyState: CLOSED, status: 502 });
});
