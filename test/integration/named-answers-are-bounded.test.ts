import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { metricsOf } from "../support/admin.ts";
import { type BackendRequest, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { startGateway } from "../support/gateway.ts";
import { ask, attach, cancel, emitToken, lastIdOf, resumingRoute, startResuming } from "../support/resume.ts";
import { openStream } from "../support/sse-client.ts";

const streaming = (request: BackendRequest) => {
  request.openStream();
  emitToken(request, "one");
};

const ADMIN = { server: { admin: 0 } };

test.each([
  ["answers", { answers: 2 }, ["ann", "bob", "eve"]],
  ["client", { answersPerClient: 2 }, ["ann", "ann", "ann"]],
])("beyond the bound of %s an answer is served, but not kept", async (reason, resume, users) => {
  const { gateway, port, requests } = await startResuming({ resume, onRequest: streaming, ...ADMIN });
  const clients = users.map((user, at) => ask(port, { user, key: `k${at}` }));
  const [first, second, third] = clients;
  for (const client of clients) await client.received("one");
  const kept = clients.filter((client) => client.field("location") !== undefined);
  expect(kept).toHaveLength(2);
  const metrics = await metricsOf(gateway);
  expect(metrics.get(`sluice_answers_unrecorded_total{reason="${reason}"}`)).toBe(1);
  expect(metrics.get('sluice_answers{route="main",state="running"}')).toBe(2);
  expect(metrics.get("sluice_answer_bytes")).toBeGreaterThan(0);
  // As without a name: it ends with its client.
  const unkept = clients.find((client) => client.field("location") === undefined);
  unkept?.leave();
  await eventually(() => requests.some(({ connection }) => !connection.isOpen), "the cancelled request");
  for (const client of [first, second, third]) client?.leave();
});

test("a DELETE or the end of resume.keep gives the place back", async () => {
  const { port } = await startResuming({
    resume: { answers: 1, keep: "50ms" },
    onRequest: streaming,
  });
  const first = ask(port, { key: "k1" });
  await first.received("one");
  expect(await cancel(port, { key: "k1" })).toBe(204);
  let at = 1;
  await eventually(async () => {
    at++;
    const next = ask(port, { key: `k${at}` });
    await next.received("one");
    return next.field("location") !== undefined;
  }, "an answer that is kept");
});

test("beyond resume.bytes the reader goes on, and a later client gets 410", async () => {
  const { gateway, port, requests } = await startResuming({
    resume: { bytes: "4k" },
    onRequest: streaming,
    ...ADMIN,
  });
  const first = ask(port);
  await first.received("one");
  for (let token = 0; token < 20; token++) {
    emitToken(requests[0], `${token}:${"x".repeat(500)}`);
    await first.received(`${token}:${"x".repeat(500)}`);
  }
  const late = ask(port);
  await late.opened();
  expect(late.head?.status).toBe(410);
  const near = attach(port, { lastEventId: lastIdOf(first) });
  await near.opened();
  emitToken(requests[0], "last");
  await first.received("last");
  await near.received("last");
  const metrics = await metricsOf(gateway);
  expect(metrics.get('sluice_answers_unrecorded_total{reason="bytes"}')).toBe(1);
  expect(metrics.get('sluice_answer_resumes_total{route="main",result="gone"}')).toBe(1);
  expect(metrics.get('sluice_answer_resumes_total{route="main",result="attached"}')).toBe(1);
});

test("the only reader may be slow: its backend is not read meanwhile, and no token is lost", async () => {
  const { port, requests } = await startResuming({
    resume: { bytes: "64m" },
    route: { stream: { comments: "off", clientBuffer: "64k" } },
  });
  const client = ask(port, { paused: true });
  await eventually(() => requests.length === 1, "the backend request");
  const [request] = requests;
  request?.openStream();
  const token = "x".repeat(16 * 1024);
  const count = 3_000;
  for (let at = 0; at < count; at++) emitToken(request, `${at}:${token}`);
  const socket = request?.connection.socket;
  let before = -1;
  await eventually(async () => {
    const sent = (socket?.bytesWritten ?? 0) - (socket?.writableLength ?? 0);
    const rests = sent === before && sent > 0;
    before = sent;
    await delay(200);
    return rests;
  }, "the backend to stand still");
  expect(before).toBeLessThan(30 * 1024 ** 2);
  request?.endStream();
  client.socket.resume();
  expect(await client.ended()).toBe("clean");
  expect([...client.text.matchAll(/^data: (\d+):/gm)].map(([, at]) => Number(at))).toEqual(
    Array.from({ length: count }, (_, at) => at),
  );
});

test("an answer that is no event stream comes again from its start", async () => {
  const { port, requests } = await startResuming();
  const first = ask(port);
  await eventually(() => requests.length === 1, "the backend request");
  requests[0]?.openStream({ "Content-Type": "application/x-ndjson" });
  requests[0]?.emit('{"a":1}\n');
  await first.received("1");
  first.leave();
  const second = ask(port);
  requests[0]?.emit('{"a":2}\n');
  requests[0]?.endStream();
  expect(await second.ended()).toBe("clean");
  expect(second.text).toBe('{"a":1}\n{"a":2}\n');
  expect(second.field("content-type")).toBe("application/x-ndjson");
  const third = attach(port);
  await third.received("2");
  expect(third.field("cache-control")).toBe("no-store");
});

test("the backend gets the request of the first client, and is asked for no content coding", async () => {
  const { port, requests } = await startResuming();
  const body = JSON.stringify({ prompt: "é".repeat(20_000) });
  ask(port, { body, headers: { "Accept-Encoding": "gzip", Authorization: "Bearer key" } });
  await eventually(() => requests[0]?.isComplete, "the whole request");
  expect(requests[0]?.body.toString()).toBe(body);
  expect(requests[0]?.fieldLines("accept-encoding")).toEqual(["identity"]);
  expect(requests[0]?.field("authorization")).toBe("Bearer key");
  expect(requests[0]?.field("idempotency-key")).toBe("k1");
});

test("a client that leaves in the middle of its body frees the key", async () => {
  const { port, requests } = await startResuming({ onRequest: () => {} });
  const headers = { "X-User": "ann", "Idempotency-Key": "k1", "Content-Length": "10" };
  const partial = openStream(port, { method: "POST", path: "/v1/chat", headers });
  partial.socket.write("12345");
  await eventually(() => requests.length === 1, "the backend request");
  partial.leave();
  await requests[0]?.connection.closed;
  ask(port);
  await eventually(() => requests.length === 2, "a new backend request");
});

test("a page may read Location, and send the key, whatever cors lists", async () => {
  const origin = "https://app.example.com";
  for (const cors of [true, { allowOrigins: [origin], allowHeaders: [], exposeHeaders: ["X-Own"] }]) {
    const { port } = await startResuming({ onRequest: streaming, route: { cors } });
    const client = ask(port, { headers: { Origin: origin } });
    await client.received("one");
    const exposed = client.field("access-control-expose-headers") ?? "";
    expect(exposed).toMatch(/Location/);
    expect(exposed).toMatch(/Sluice-Resumed-From/);
    const preflight = await fetch(`http://127.0.0.1:${port}/v1/chat`, {
      method: "OPTIONS",
      headers: {
        Origin: origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "idempotency-key,last-event-id",
      },
    });
    expect(preflight.headers.get("access-control-allow-headers")?.toLowerCase()).toContain("idempotency-key");
  }
});

test("heartbeats come between two events while the model thinks", async () => {
  const { port, requests } = await startResuming({
    route: { stream: { heartbeat: "50ms", comments: "on" } },
    onRequest: (request) => request.openStream(),
  });
  const client = ask(port);
  await client.received(":\n:\n");
  requests[0]?.emit("data: ha");
  await delay(200);
  requests[0]?.emit("lf\n\n");
  await client.received("half");
  expect(client.text.replaceAll(":\n", "")).toMatch(/^id: .*\ndata: half\n\n$/);
});

test("a reload keeps the answers of a route that changes", async () => {
  const requests: BackendRequest[] = [];
  const backend = await startBackend((request) => {
    requests.push(request);
    streaming(request);
  });
  const setup = (route: object) => ({ routes: { main: { ...resumingRoute(backend.url, {}), ...route } } });
  const gateway = await startGateway(setup({}));
  const first = ask(gateway.port);
  await first.received("one");
  const location = first.field("location") ?? "";
  first.leave();
  await gateway.reload(setup({ limits: { streams: 50 } }));
  const second = ask(gateway.port, { lastEventId: lastIdOf(first) });
  const third = attach(gateway.port, { path: location, key: "" });
  emitToken(requests[0], "two");
  await second.received("two");
  await third.received("two");
  expect(second.text).not.toContain("one");
  await gateway.reload(setup({ resume: undefined }));
  emitToken(requests[0], "three");
  requests[0]?.endStream();
  expect([await second.ended(), await third.ended()]).toEqual(["clean", "clean"]);
  expect(requests).toHaveLength(1);
});

test("a drain lets an answer finish, also for an EventSource", async () => {
  const { gateway, port, requests } = await startResuming({
    onRequest: streaming,
    server: { drain: { timeout: "5s" } },
  });
  const first = ask(port);
  await first.received("one");
  const second = attach(port);
  await second.received("one");
  const drained = gateway.drain();
  await delay(200);
  emitToken(requests[0], "two");
  requests[0]?.endStream();
  expect([await first.ended(), await second.ended()]).toEqual(["clean", "clean"]);
  expect([first.text, second.text].every((text) => text.includes("two"))).toBe(true);
  await drained;
});

test("answers leave nothing behind after their time", async () => {
  const { gateway, port, requests } = await startResuming({
    resume: { grace: "50ms", keep: "50ms" },
    onRequest: streaming,
    ...ADMIN,
  });
  for (let at = 0; at < 15; at++) {
    const client = ask(port, { key: `k${at}` });
    await client.received("one");
    if (at % 3 === 0) client.leave();
    if (at % 3 === 1) requests[at]?.endStream();
    if (at % 3 === 2) requests[at]?.reset();
  }
  await eventually(async () => {
    const metrics = await metricsOf(gateway);
    const states = ["waiting", "running", "whole", "broken"];
    const left = states.map((state) => metrics.get(`sluice_answers{route="main",state="${state}"}`));
    return left.every((count) => count === 0) && metrics.get("sluice_history_bytes") === 0;
  }, "nothing to be left");
  expect(requests.filter(({ connection }, at) => at % 3 !== 1 && connection.isOpen)).toHaveLength(0);
});
