import { expect, it } from "vitest";
import { type BackendRequest, startBackend } from "../../support/backend.ts";
import { openClientPage, type PageClient } from "../../support/client-page.ts";
import { eventually } from "../../support/eventually.ts";
import { startGateway, startGatewayTo } from "../../support/gateway.ts";
import { startNginx } from "../../support/nginx.ts";
import { startPageServer } from "../../support/page-server.ts";
import { passHeartbeats } from "../../support/pass-heartbeats.ts";

/** The browser's own EventSource, in Chromium. */

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

/** The page and the stream have the same origin: both are routes of one gateway. */
async function startSameOrigin(route: Readonly<Record<string, unknown>> = {}) {
  const pages = await startPageServer();
  const backend = await startBackend();
  const gateway = await startGateway({
    routes: {
      pages: { match: { path: "/*" }, upstream: pages.origin },
      stream: { match: { path: "/stream" }, upstream: backend.url, ...route },
    },
  });
  return { backend, gateway, pagePath: pages.path };
}

/** Sends each event only after the page has reported the previous one. */
async function expectOneByOne(source: PageClient, request: BackendRequest, first = 1): Promise<void> {
  for (let n = first; n < first + 4; n += 1) {
    const type = n % 2 === 0 ? "tick" : "message";
    request.emit(`id: ${n}\n${type === "tick" ? "event: tick\n" : ""}data: number ${n}\n\n`);
    expect(await source.next()).toMatchObject({ type, id: String(n), data: `number ${n}` });
  }
}

it("opens before the first event, gets events one by one, and its close cancels the backend request", async () => {
  const { backend, gateway, pagePath } = await startSameOrigin();
  const page = await openClientPage(gateway.url + pagePath);
  const source = await page.open("openNative", "native", "/stream", { types: ["tick"] });
  const request = await backend.nextRequest();
  expect(request.field("accept")).toBe("text/event-stream");
  request.openStream();
  expect(await source.next()).toMatchObject({ type: "open", readyState: OPEN });
  await expectOneByOne(source, request);
  await source.close();
  await eventually(() => request.connection.closedBy, "the cancellation at the backend");
});

it("ignores the heartbeats between events, and none comes inside an event", async () => {
  const { backend, gateway, pagePath } = await startSameOrigin({ stream: { heartbeat: "20ms" } });
  const page = await openClientPage(gateway.url + pagePath);
  const source = await page.open("openNative", "native", "/stream", { types: ["tick"] });
  const request = await backend.nextRequest();
  request.openStream();
  expect(await source.next()).toMatchObject({ type: "open" });
  await passHeartbeats(gateway.port, backend);
  await expectOneByOne(source, request);
  request.emit("event: tick\nid: 9\ndata: wh");
  // A comment line here would break the data line.
  await passHeartbeats(gateway.port, backend);
  request.emit("ole\n\n");
  expect(await source.next()).toMatchObject({ type: "tick", id: "9", data: "whole" });
  expect(source.waiting).toEqual([]);
});

it.each(["1.0", "1.1"] as const)(
  "gets events one by one through nginx with buffering and HTTP/%s",
  async (httpVersion) => {
    const { backend, gateway, pagePath } = await startSameOrigin();
    const nginx = await startNginx({ upstream: gateway.host, httpVersion });
    const page = await openClientPage(nginx.url + pagePath);
    const source = await page.open("openNative", "native", "/stream", { types: ["tick"] });
    const request = await backend.nextRequest();
    request.openStream();
    expect(await source.next()).toMatchObject({ type: "open" });
    await expectOneByOne(source, request);
    await source.close();
    await eventually(() => request.connection.closedBy, "the cancellation at the backend");
  },
);

it("does not open through such an nginx without sluice until the backend ends", async () => {
  const pages = await startPageServer();
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { cors: true });
  const withSluice = await startNginx({ upstream: gateway.host, httpVersion: "1.0" });
  const alone = await startNginx({
    upstream: `127.0.0.1:${backend.port}`,
    httpVersion: "1.0",
    extra: "add_header Access-Control-Allow-Origin *;",
  });
  const page = await openClientPage(pages.origin + pages.path);
  const held = await page.open("openNative", "held", `${alone.url}/stream`);
  const heldRequest = await backend.nextRequest();
  // HTTP/1.0 has no chunks: the end of the connection is the end of the body.
  heldRequest.send("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: held\n\n");

  const source = await page.open("openNative", "native", `${withSluice.url}/stream`, { types: ["tick"] });
  const request = await backend.nextRequest();
  request.openStream();
  expect(await source.next()).toMatchObject({ type: "open" });
  await expectOneByOne(source, request);
  expect(held.waiting).toEqual([]);
  heldRequest.halfClose();
  // The event was held back, not lost.
  expect(await held.next()).toMatchObject({ type: "open" });
  expect(await held.next()).toMatchObject({ type: "message", data: "held" });
});

it.each(["ends", "dies in the middle of an event"])(
  "reconnects with its Last-Event-ID, byte for byte, when the backend %s",
  async (how) => {
    const { backend, gateway, pagePath } = await startSameOrigin();
    const page = await openClientPage(gateway.url + pagePath);
    const source = await page.open("openNative", "native", "/stream");
    const request = await backend.nextRequest();
    expect(request.field("last-event-id")).toBeUndefined();
    request.openStream();
    request.emit("retry: 20\nid: å日7\ndata: seen\n\n");
    expect(await source.next()).toMatchObject({ type: "open" });
    expect(await source.next()).toMatchObject({ type: "message", data: "seen", id: "å日7" });
    if (how === "ends") {
      request.endStream();
    } else {
      request.emit("id: 8\ndata: ha");
      request.reset();
    }
    expect(await source.next()).toMatchObject({ type: "error", readyState: CONNECTING });
    const again = await backend.nextRequest();
    expect(Buffer.from(again.field("last-event-id") ?? "", "latin1").toString("utf8")).toBe("å日7");
    again.openStream();
    expect(await source.next()).toMatchObject({ type: "open", readyState: OPEN });
    again.emit("data: after\n\n");
    expect(await source.next()).toMatchObject({ type: "message", data: "after", id: "å日7" });
  },
);

it("stops reconnecting on 204", async () => {
  const { backend, gateway, pagePath } = await startSameOrigin();
  const page = await openClientPage(gateway.url + pagePath);
  const source = await page.open("openNative", "native", "/stream");
  const request = await backend.nextRequest();
  request.openStream();
  request.emit("retry: 20\n\n");
  request.endStream();
  expect(await source.next()).toMatchObject({ type: "open" });
  expect(await source.next()).toMatchObject({ type: "error", readyState: CONNECTING });
  (await backend.nextRequest()).send("HTTP/1.1 204 No Content\r\n\r\n");
  expect(await source.next()).toMatchObject({ type: "error", readyState: CLOSED });
});

it("opens a seventh stream of one origin as soon as one of six is closed", async () => {
  const { backend, gateway, pagePath } = await startSameOrigin();
  const page = await openClientPage(gateway.url + pagePath);
  const sources: PageClient[] = [];
  const requests: BackendRequest[] = [];
  for (let n = 1; n <= 6; n += 1) {
    const source = await page.open("openNative", `native ${n}`, `/stream?n=${n}`);
    const request = await backend.nextRequest();
    request.openStream();
    expect(await source.next()).toMatchObject({ type: "open" });
    sources.push(source);
    requests.push(request);
  }
  const seventh = await page.open("openNative", "native 7", "/stream?n=7");
  // Chromium opens six connections to an origin on HTTP/1.1; the open streams continue.
  for (const [index, source] of sources.entries()) {
    requests[index]?.emit("data: on\n\n");
    expect(await source.next()).toMatchObject({ type: "message", data: "on" });
  }
  expect(backend.requests).toHaveLength(6);
  await sources[0]?.close();
  await eventually(() => requests[0]?.connection.closedBy, "the cancellation at the backend");
  const request = await backend.nextRequest();
  expect(request.target).toBe("/stream?n=7");
  request.openStream();
  expect(await seventh.next()).toMatchObject({ type: "open" });
});

it("reads a stream of another origin only if the route allows it", async () => {
  const pages = await startPageServer();
  const backend = await startBackend();
  const gateway = await startGateway({
    routes: {
      allowed: {
        match: { path: "/allowed" },
        upstream: backend.url,
        cors: { allowOrigins: [pages.origin] },
      },
      silent: { match: { path: "/silent" }, upstream: backend.url },
    },
  });
  const page = await openClientPage(pages.origin + pages.path);
  const source = await page.open("openNative", "allowed", `${gateway.url}/allowed`, { types: ["tick"] });
  const request = await backend.nextRequest();
  expect(request.field("origin")).toBe(pages.origin);
  request.openStream();
  expect(await source.next()).toMatchObject({ type: "open" });
  await expectOneByOne(source, request);

  const refused = await page.open("openNative", "silent", `${gateway.url}/silent`);
  const unread = await backend.nextRequest();
  unread.openStream();
  unread.emit("data: not for this page\n\n");
  expect(await refused.next()).toMatchObject({ type: "error", readyState: CLOSED });
});

it("sends cookies cross-origin only if the route allows credentials, whatever fields the backend sends", async () => {
  const pages = await startPageServer();
  const backend = await startBackend();
  const upstream = backend.url;
  const allowOrigins = [pages.origin];
  const gateway = await startGateway({
    routes: {
      private: { match: { path: "/private" }, upstream, cors: { allowOrigins, allowCredentials: true } },
      public: { match: { path: "/public" }, upstream, cors: { allowOrigins } },
    },
  });
  const page = await openClientPage(pages.origin + pages.path);
  await page.setCookie("session=blue");
  const open = async (name: string, path: string, withCredentials: boolean) => {
    const source = await page.open("openNative", name, gateway.url + path, { withCredentials });
    const request = await backend.nextRequest();
    // A browser refuses * with credentials, and duplicate CORS fields.
    request.openStream({
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Allow-Credentials": "true",
    });
    return { record: await source.next(), cookie: request.field("cookie") };
  };
  expect(await open("with", "/private", true)).toMatchObject({
    record: { type: "open" },
    cookie: "session=blue",
  });
  expect(await open("without", "/private", false)).toEqual({
    record: expect.objectContaining({ type: "open" }),
    cookie: undefined,
  });
  expect(await open("refused", "/public", true)).toMatchObject({
    record: { type: "error", readyState: CLOSED },
  });
});

it("continues after the gateway's 502 only if the page opens a new EventSource", async () => {
  const { backend, gateway, pagePath } = await startSameOrigin();
  const page = await openClientPage(gateway.url + pagePath);
  const source = await page.open("openNative", "native", "/stream");
  (await backend.nextRequest()).reset();
  expect(await source.next()).toMatchObject({ type: "error", readyState: CLOSED });
  const again = await page.open("openNative", "again", "/stream");
  (await backend.nextRequest()).openStream();
  expect(await again.next()).toMatchObject({ type: "open" });
});

it("reads a stream of any origin under cors: true", async () => {
  const pages = await startPageServer();
  const backend = await startBackend();
  const gateway = await startGatewayTo(backend.url, { cors: true });
  const page = await openClientPage(pages.origin + pages.path);
  const source = await page.open("openNative", "native", `${gateway.url}/stream`, { types: ["tick"] });
  const request = await backend.nextRequest();
  request.openStream();
  expect(await source.next()).toMatchObject({ type: "open" });
  await expectOneByOne(source, request);
});

it("reconnects after a backend's 503 with onRefusal: retry; without it, it is closed for good", async () => {
  for (const [onRefusal, last] of [
    ["retry", OPEN],
    ["status", CLOSED],
  ] as const) {
    const { backend, gateway, pagePath } = await startSameOrigin({ stream: { onRefusal } });
    const page = await openClientPage(gateway.url + pagePath);
    const source = await page.open("openNative", "native", "/stream", { types: ["tick"] });
    (await backend.nextRequest()).respond(503, { "Retry-After": "0" }, "busy");
    if (onRefusal === "status") {
      expect(await source.next()).toMatchObject({ type: "error", readyState: last });
      continue;
    }
    expect(await source.next()).toMatchObject({ type: "open" });
    expect(await source.next()).toMatchObject({ type: "error", readyState: CONNECTING });
    const again = await backend.nextRequest();
    again.openStream();
    expect(await source.next()).toMatchObject({ type: "open", readyState: last });
    await expectOneByOne(source, again);
  }
});
