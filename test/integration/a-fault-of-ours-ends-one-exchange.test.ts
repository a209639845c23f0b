import { expect, test } from "vitest";
import { ResponseParser } from "../../src/http/response-parser.ts";
import { Capacity } from "../../src/limits/capacity.ts";
import { RateLimit } from "../../src/limits/rate-limit.ts";
import { BackendEventReader } from "../../src/shared/backend-event-reader.ts";
import { Hub } from "../../src/shared/hub.ts";
import { PollBodies } from "../../src/shared/poll-bodies.ts";
import { Subscriber } from "../../src/shared/subscriber.ts";
import { Boundary } from "../../src/sse/boundary.ts";
import { ConnectionPool } from "../../src/upstream/connection-pool.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { startBackend } from "../support/backend.ts";
import { breaks, FAULT } from "../support/breaks.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { openStream } from "../support/sse-client.ts";

async function start() {
  const backend = await startBackend();
  const route = { upstream: backend.url, limits: { rate: { requests: 1000, per: "1s", by: "ip" } } };
  const gateway = await startGateway({
    server: { admin: 0 },
    routes: {
      main: { match: { path: "/*" }, ...route },
      shared: { match: { path: "/shared" }, ...route, shared: { redial: { min: "10ms" } } },
    },
  });
  const openOne = async (path: string) => {
    const client = openStream(gateway.port, { path, headers: { Accept: "text/event-stream" } });
    const request = await backend.nextRequest();
    request.openStream();
    await client.opened();
    return { client, request };
  };
  return { backend, gateway, openOne };
}

/** Expects the stack in the log, and only there. */
const stackOf = (line: Readonly<Record<string, unknown>>) =>
  (line["err"] as { readonly code: string; readonly cause: string } | undefined) ?? { code: "", cause: "" };

test.each([
  ["the limits", "/", () => breaks(Capacity.prototype, "takeStream")],
  ["a rate", "/", () => breaks(RateLimit.prototype, "keyOf")],
  ["the choice of a backend", "/", () => breaks(Upstream.prototype, "choose")],
  ["the dial", "/", () => breaks(ConnectionPool.prototype, "take")],
  ["the hub of a shared stream", "/shared", () => breaks(Hub.prototype, "subscribe")],
])("an error in %s gives only that request a 500", async (_, path, breakIt) => {
  const { gateway, openOne } = await start();
  const other = await openOne("/other");
  breakIt();
  const client = openStream(gateway.port, { path, headers: { Accept: "text/event-stream" } });
  expect((await client.opened()).status).toBe(500);
  await client.ended();
  expect(JSON.parse(client.text)).toMatchObject({
    error_code: "APIG.0601",
    error_msg: "Internal server error.",
  });
  const line = await gateway.requestLine();
  expect(stackOf(line)).toMatchObject({ code: "internal_error" });
  expect(stackOf(line).cause).toMatch(new RegExp(`${FAULT}\\n +at `));
  other.request.emit("data: on\n\n");
  await other.client.received("data: on");
  await openOne(path);
});

test("an error while reading a response's head gives 500, while reading its body it ends that stream", async () => {
  const { backend, gateway, openOne } = await start();
  const other = await openOne("/other");
  const waiting = openStream(gateway.port);
  const request = await backend.nextRequest();
  breaks(ResponseParser.prototype, "read");
  request.openStream();
  expect((await waiting.opened()).status).toBe(500);
  const broken = await openOne("/");
  breaks(Boundary.prototype, "scan");
  broken.request.emit("data: x\n\n");
  expect(await broken.client.ended()).toBe("truncated");
  await broken.request.connection.closed;
  const line = await gateway.requestLine(1);
  expect(line).toMatchObject({ endReason: "backend_failed" });
  expect(stackOf(line)).toMatchObject({ code: "internal_error" });
  expect(stackOf(line).cause).toContain(FAULT);
  other.request.emit("data: on\n\n");
  await other.client.received("data: on");
});

test("an error in the common part of a shared stream causes a redial, and every client keeps its stream", async () => {
  const { backend, openOne } = await start();
  const { client, request } = await openOne("/shared");
  request.emit("id: 1\ndata: 1\n\n");
  await client.received("data: 1");
  breaks(BackendEventReader.prototype, "feed");
  request.emit("id: 2\ndata: 2\n\n");
  const again = await backend.nextRequest();
  expect(again.head.fields.some(([name, value]) => /^last-event-id$/i.test(name) && value === "1")).toBe(
    true,
  );
  again.openStream();
  again.emit("id: 2\ndata: 2\n\n");
  await client.received("data: 2");
  expect(client.end).toBeUndefined();
});

test("an error in the delivery to one client of a shared stream ends only that client's stream", async () => {
  const { gateway, openOne } = await start();
  const { client: first, request } = await openOne("/shared");
  const second = openStream(gateway.port, { path: "/shared", headers: { Accept: "text/event-stream" } });
  await second.opened();
  breaks(Subscriber.prototype, "advance");
  request.emit("data: 1\n\n");
  expect(await first.ended()).toBe("truncated");
  await second.received("data: 1");
  request.emit("data: 2\n\n");
  await second.received("data: 2");
  const line = await gateway.requestLine();
  expect(stackOf(line)).toMatchObject({ code: "internal_error" });
  expect(stackOf(line).cause).toMatch(new RegExp(`${FAULT}\\n +at `));
});

test("an error in a callback that belongs to no exchange is logged with its stack and counted", async () => {
  const { gateway, openOne } = await start();
  const { client, request } = await openOne("/shared");
  breaks(PollBodies.prototype, "release");
  request.emit("data: 1\n\n");
  await client.received("data: 1");
  const line = await eventually(() => gateway.log.find(({ msg }) => msg === "internal error"), "a line");
  expect(line).toMatchObject({ code: "internal_error", err: { message: FAULT } });
  expect(String((line as { err?: { stack?: string } }).err?.stack)).toMatch(new RegExp(`${FAULT}\\n +at `));
  request.emit("data: 2\n\n");
  await client.received("data: 2");
  expect(await (await fetch(`${gateway.adminUrl}/metrics`)).text()).toContain(
    "sluice_internal_errors_total 1",
  );
});
