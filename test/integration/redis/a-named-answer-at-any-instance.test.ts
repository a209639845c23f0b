import { expect, test } from "vitest";
import { metricsOf } from "../../support/admin.ts";
import { type BackendRequest, startBackend } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../../support/gateway.ts";
import { startRedis } from "../../support/redis.ts";
import {
  type AskOptions,
  ask,
  attach,
  cancel,
  emitToken,
  lastIdOf,
  resumingRoute,
  tokensOf,
} from "../../support/resume.ts";
import { serveWorkers } from "../../support/workers.ts";

const HEADERS = { Host: "answers.example" };
const asking = ({ port }: GatewayFixture, options: AskOptions = {}) =>
  ask(port, { headers: HEADERS, ...options });
const attaching = ({ port }: GatewayFixture, options: AskOptions = {}) =>
  attach(port, { headers: HEADERS, ...options });
const cancelling = ({ port }: GatewayFixture, options: AskOptions = {}) =>
  cancel(port, { headers: HEADERS, ...options });

/** Two instances with one Redis. Leases must not depend on a machine that stands still for a second. */
async function startTwo(resume: Readonly<Record<string, unknown>> = {}, lease = "5s") {
  const requests: BackendRequest[] = [];
  const redis = await startRedis();
  const backend = await startBackend((request) => {
    requests.push(request);
  });
  const start = () =>
    startGateway({
      routes: { main: resumingRoute(backend.url, { resume }) },
      server: { redis: { url: redis.url, lease, timeout: "5s" }, admin: 0, drain: { timeout: "8s" } },
    });
  const [a, b] = await Promise.all([start(), start()]);
  const opened = async (at = 0) => {
    await eventually(() => requests.length > at, "the backend request");
    requests[at]?.openStream();
  };
  return { redis, requests, a, b, opened };
}

test("any instance attaches, by the key and by Location, while the answer comes and after its end", async () => {
  const { requests, a, b, opened } = await startTwo();
  const first = asking(a);
  await opened();
  emitToken(requests[0], "one");
  emitToken(requests[0], "two");
  await first.received("two");
  const location = first.field("location") ?? "";
  first.leave();

  const byPost = asking(b, { lastEventId: lastIdOf({ text: first.text.split("data: one")[0] ?? "" }) });
  const byGet = attaching(b, { path: location, key: "", user: "none" });
  await byPost.received("two");
  await byGet.received("two");
  const middle = attaching(b, { lastEventId: lastIdOf(first) });
  emitToken(requests[0], "three");
  requests[0]?.endStream();
  for (const client of [byGet, byPost, middle]) expect(await client.ended()).toBe("clean");
  expect([tokensOf(byGet), tokensOf(middle)]).toEqual([["one", "two", "three"], ["three"]]);
  expect(tokensOf(byPost)).toEqual(["two", "three"]);

  const whole = asking(b);
  expect(await whole.ended()).toBe("clean");
  expect(tokensOf(whole)).toEqual(["one", "two", "three"]);
  const read = attaching(b, { lastEventId: lastIdOf(whole) });
  await read.opened();
  expect(read.head?.status).toBe(204);
  const other = asking(b, { body: "other" });
  await other.opened();
  expect(other.head?.status).toBe(422);
  const foreign = attaching(b, { user: "eve" });
  await foreign.opened();
  expect(foreign.head?.status).toBe(204);
  expect(requests).toHaveLength(1);

  // The record outlives the instance that generated it.
  await a.close();
  const after = attaching(b);
  expect(await after.ended()).toBe("clean");
  expect(tokensOf(after)).toEqual(["one", "two", "three"]);
});

test("a POST that waits for the first token may come again at another instance", async () => {
  const { requests, a, b, opened } = await startTwo();
  const first = asking(a);
  await eventually(() => requests.length === 1, "the backend request");
  first.leave();
  const second = asking(b);
  await opened();
  emitToken(requests[0], "one");
  await second.received("one");
  requests[0]?.endStream();
  expect(await second.ended()).toBe("clean");
  expect(requests).toHaveLength(1);
});

test("several POSTs with one key at the same moment, at two instances, are one backend request", async () => {
  const { requests, a, b, opened } = await startTwo();
  // The connections to Redis are there.
  for (const instance of [a, b]) await attaching(instance, { key: "none" }).opened();
  const clients = [a, a, b, a, b, b].map((instance) => asking(instance));
  await opened();
  emitToken(requests[0], "one");
  for (const client of clients) await client.received("one");
  requests[0]?.endStream();
  for (const client of clients) expect(await client.ended()).toBe("clean");
  expect(clients.map(tokensOf)).toEqual(clients.map(() => ["one"]));
  expect(requests).toHaveLength(1);
});

test("a DELETE at another instance cancels the backend request, before and after the first token", async () => {
  const { requests, a, b, opened } = await startTwo();
  const waiting = asking(a);
  await eventually(() => requests.length === 1, "the backend request");
  expect(await cancelling(b)).toBe(204);
  await requests[0]?.connection.closed;
  await waiting.opened();
  expect(waiting.head?.status).toBe(410);

  const running = asking(a, { key: "k2" });
  await opened(1);
  emitToken(requests[1], "one");
  await running.received("one");
  expect(await cancelling(b, { key: "k2" })).toBe(204);
  await requests[1]?.connection.closed;
  expect(await running.ended()).toBe("truncated");
  for (const instance of [a, b]) {
    const later = attaching(instance, { key: "k2" });
    expect([await later.ended(), tokensOf(later)]).toEqual(["truncated", ["one"]]);
  }
  const anew = asking(b, { key: "k2" });
  await opened(2);
  emitToken(requests[2], "new");
  await anew.received("new");
  expect(tokensOf(anew)).toEqual(["new"]);
});

test("a response that is not kept goes to those who wait here; elsewhere they are told to come again", async () => {
  const { requests, a, b } = await startTwo({}, "1s");
  const here = asking(a);
  await eventually(() => requests.length === 1, "the backend request");
  const there = attaching(b);
  await eventually(
    async () => (await metricsOf(b)).get('sluice_answers{route="main",state="waiting"}') === 1,
    "the waiting client",
  );
  requests[0]?.respond(429, { "Content-Type": "application/json" }, "{}");
  await here.opened();
  expect(here.head?.status).toBe(429);
  await there.opened();
  expect(there.head?.status).toBe(503);
  expect(there.field("retry-after")).toBeDefined();
});

test("an answer goes on while another instance has a client of it, and is cancelled then", async () => {
  const { requests, a, b, opened } = await startTwo({ grace: "300ms" });
  const first = asking(a);
  await opened();
  emitToken(requests[0], "one");
  await first.received("one");
  const second = attaching(b);
  await second.received("one");
  first.leave();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  emitToken(requests[0], "two");
  await second.received("two");
  second.leave();
  await requests[0]?.connection.closed;
}, 40_000);

test("a drain lets an answer without a client finish, and another instance has it whole", async () => {
  const { requests, a, b, opened } = await startTwo();
  const first = asking(a);
  await opened();
  emitToken(requests[0], "one");
  await first.received("one");
  first.leave();
  let isDrained = false;
  const drained = a.drain().then(() => {
    isDrained = true;
  });
  const second = attaching(b);
  await second.received("one");
  expect(isDrained).toBe(false);
  emitToken(requests[0], "two");
  requests[0]?.endStream();
  await drained;
  expect(await second.ended()).toBe("clean");
  expect(tokensOf(second)).toEqual(["one", "two"]);
});

test("without Redis an answer is served, but not kept, and a client that comes back is told", async () => {
  const { redis, requests, a } = await startTwo();
  await redis.kill();
  const first = asking(a);
  await eventually(() => requests.length === 1, "the backend request");
  requests[0]?.openStream();
  emitToken(requests[0], "one");
  await first.received("one");
  expect(first.text).toBe("data: one\n\n");
  expect(first.field("location")).toBeUndefined();
  const metrics = await metricsOf(a);
  expect(metrics.get('sluice_answers_unrecorded_total{reason="redis"}')).toBe(1);
  const back = attaching(a);
  await back.opened();
  expect(back.head?.status).toBe(503);
  // It has tokens of an answer: those of another generation would be mixed with them.
  const resuming = asking(a, { key: "k2", lastEventId: "~AAAAAAAA-7" });
  await resuming.opened();
  expect(resuming.head?.status).toBe(503);
  expect(resuming.field("retry-after")).toBeDefined();
  expect(requests).toHaveLength(1);
});

test("an answer goes on without Redis once it has begun, and is there when Redis is back", async () => {
  const { redis, requests, a, b, opened } = await startTwo();
  const first = asking(a);
  await opened();
  emitToken(requests[0], "one");
  await first.received("one");
  redis.freeze();
  emitToken(requests[0], "two");
  await first.received("two");
  redis.thaw();
  emitToken(requests[0], "three");
  await first.received("three");
  requests[0]?.endStream();
  expect(await first.ended()).toBe("clean");
  expect(tokensOf(first)).toEqual(["one", "two", "three"]);
  await eventually(async () => {
    const whole = attaching(b);
    return (await whole.ended()) === "clean" && tokensOf(whole).length === 3;
  }, "the whole answer at the other instance");
}, 60_000);

test("if Redis loses all data while an answer comes, it is written again, and no token is lost or doubled", async () => {
  const { redis, requests, a, b, opened } = await startTwo({}, "1s");
  const first = asking(a);
  await opened();
  const tokens = Array.from({ length: 30 }, (_, at) => `token-${at}`);
  emitToken(requests[0], "token-0");
  await first.received("token-0");
  const second = attaching(b);
  await second.received("token-0");
  for (const token of tokens.slice(1)) {
    if (token === "token-10") await redis.client.flushall();
    emitToken(requests[0], token);
    await first.received(token);
  }
  requests[0]?.endStream();
  expect([await first.ended(), await second.ended()]).toEqual(["clean", "clean"]);
  const third = attaching(b);
  expect(await third.ended()).toBe("clean");
  for (const client of [first, second, third]) expect(tokensOf(client)).toEqual(tokens);
  expect(requests).toHaveLength(1);
}, 60_000);

test("the killed process's answer is replayed and broken off, and a POST starts it anew", async () => {
  const requests: BackendRequest[] = [];
  const redis = await startRedis();
  const backend = await startBackend((request) => {
    requests.push(request);
    request.openStream();
  });
  const served = await serveWorkers({
    routes: { main: resumingRoute(backend.url, {}) },
    server: { redis: { url: redis.url, lease: "1s" } },
  });
  const first = ask(served.port);
  await first.opened();
  emitToken(requests[0], "one");
  await first.received("one");
  // Each worker answers some of these, from one backend request.
  const others = Array.from({ length: 4 }, () => ask(served.port));
  for (const client of others) await client.received("one");
  expect(requests).toHaveLength(1);
  const worker = served.lines("stream opened")[0]?.["worker"];
  const victim = served.pids()[Number(worker) - 1] ?? 0;
  process.kill(victim, "SIGKILL");
  for (const client of others) expect(await client.ended()).not.toBe("clean");
  await served.restarted(1);
  const replayed = attach(served.port);
  expect([await replayed.ended(), tokensOf(replayed)]).toEqual(["truncated", ["one"]]);
  const anew = ask(served.port);
  await eventually(() => requests.length === 2, "a new backend request");
  emitToken(requests[1], "new");
  await anew.received("new");
  expect(tokensOf(anew)).toEqual(["new"]);
}, 60_000);
