import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { refusedPort, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type LogLine, startGateway, startGatewayTo } from "../support/gateway.ts";
import { openRelay } from "../support/relay.ts";
import { EVENT_SOURCE, openStream } from "../support/sse-client.ts";

const UUID = /^[0-9a-f-]{36}$/;

test("an ordinary request's line has client, target, backend, size, duration and reason of the end", async () => {
  const backend = await startBackend((request) => request.respond(201, {}, "twelve bytes"));
  const gateway = await startGatewayTo(backend.url);
  const client = openStream(gateway.port, { method: "POST", path: "/a/b?token=secret", body: "{}" });
  await client.ended();
  expect(await gateway.requestLine()).toMatchObject({
    msg: "request",
    reqId: client.field("x-request-id"),
    route: "main",
    method: "POST",
    path: "/a/b",
    status: 201,
    backend: backend.url,
    bytesSent: 12,
    endReason: "completed",
  });
  const line = await gateway.requestLine();
  expect(line["durationMs"]).toBeGreaterThanOrEqual(0);
  expect(line["firstByteMs"]).toBeGreaterThanOrEqual(0);
  expect(JSON.stringify(gateway.log)).not.toContain("secret");
});

test("a stream has a line when it opens and a line when it ends", async () => {
  const { client, request, gateway } = await openRelay();
  const opened = await eventually(() => gateway.log.find(({ msg }) => msg === "stream opened"));
  expect(opened).toMatchObject({ reqId: client.field("x-request-id"), route: "main", path: "/stream" });
  expect(gateway.requestLines()).toEqual([]);
  request.emit("data: 1\n\n: comment\n\ndata: 2\n\n");
  request.endStream();
  await client.ended();
  const line = await gateway.requestLine();
  expect(line).toMatchObject({ status: 200, events: 2, endReason: "backend_ended" });
  expect(line["bytesSent"]).toBe(client.body.length);
});

test("every request has exactly one line, however it ends", async () => {
  const backend = await startBackend((request) => {
    if (request.target === "/ok") request.respond(200, {}, "ok");
    if (request.target === "/reset") request.reset();
    if (request.target === "/stream") {
      request.openStream();
      request.emit("data: 1\n\n");
    }
    if (request.target === "/cut") {
      request.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
      request.halfClose();
    }
  });
  const dead = `http://127.0.0.1:${await refusedPort()}`;
  const gateway = await startGateway({
    routes: {
      main: { match: { path: "/*" }, upstream: backend.url },
      dead: { match: { path: "/dead" }, upstream: dead },
      getOnly: { match: { path: "/get-only", methods: ["GET"] }, upstream: backend.url },
    },
  });
  const visit = async (path: string, method = "GET") => {
    const client = openStream(gateway.port, { path, method });
    if (path === "/stream") {
      await client.received("data: 1");
      client.leave();
    } else if (path === "/silent") {
      await eventually(() => backend.requests.some(({ target }) => target === path), "the silent request");
      client.leave();
    } else await client.ended();
  };
  await visit("/ok");
  await visit("/reset");
  await visit("/stream");
  await visit("/cut");
  await visit("/dead");
  await visit("/silent");
  await visit("/get-only", "POST");
  await visit("/%zz");
  await eventually(() => gateway.requestLines().length === 8, "eight lines");
  await delay(100);
  const seen = gateway
    .requestLines()
    .map((line: LogLine) => [line["path"], line["status"], line["endReason"], line["route"]]);
  expect(seen).toHaveLength(8);
  expect(seen).toEqual(
    expect.arrayContaining([
      ["/ok", 200, "completed", "main"],
      ["/reset", 502, "backend_failed", "main"],
      ["/stream", 499, "client_gone", "main"],
      ["/cut", 200, "backend_failed", "main"],
      ["/dead", 502, "backend_failed", "dead"],
      ["/silent", 499, "client_gone", "main"],
      ["/get-only", 405, "completed", undefined],
      ["/%zz", 400, "completed", undefined],
    ]),
  );
  const ids = gateway.requestLines().map((line) => line["reqId"] as string);
  expect(new Set(ids).size).toBe(8);
  for (const id of ids) expect(id).toMatch(UUID);
});

test("a closing gateway ends streams between two events, with the reason drained", async () => {
  const { client, request, gateway } = await openRelay({ request: { headers: EVENT_SOURCE } });
  request.emit("data: ha");
  await client.received("data: ha");
  const closing = gateway.close();
  await delay(50);
  expect(client.end).toBeUndefined();
  request.emit("lf\n\ndata: never\n\n");
  expect(await client.ended()).toBe("clean");
  await closing;
  expect(client.text).toBe(":\ndata: half\n\n");
  expect(await gateway.requestLine()).toMatchObject({ endReason: "drained", status: 200, events: 1 });
});
