import { expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import type { RateConfig } from "../../../src/config/limits-schema.ts";
import { CounterStoreUnavailable, knownUse } from "../../../src/limits/counter-store.ts";
import { createStreamLimit } from "../../../src/limits/stream-limit.ts";
import type { CounterCalls } from "../../../src/workers/calls.ts";
import { CounterServer } from "../../../src/workers/counter-server.ts";
import { PrimaryCounterStore } from "../../../src/workers/primary-counter-store.ts";
import { inlineConfig } from "../../support/gateway.ts";

const MOCK = { match: { path: "/*" }, mock: { status: 200 } };
const RATE: RateConfig = { requests: 3, per: 60_000, by: "route", maxKeys: 10 };
const configOf = (route: Readonly<Record<string, unknown>> = {}) =>
  inlineConfig({ routes: { main: { ...MOCK, ...route } }, apps: { app: { key: "k", secret: "s" } } });

/** Workers of one primary, without processes. */
function startPrimary() {
  const primary = new CounterServer(configOf());
  const calls: string[] = [];
  const startWorker = () => {
    const { answers, release } = primary.serve();
    let isSilent = false;
    const call = async (name: keyof CounterCalls, argument: never): Promise<never> => {
      calls.push(name);
      const answer = await (answers[name] as (argument: never) => unknown)(argument);
      if (isSilent) throw new Error("no answer");
      return answer as never;
    };
    const link = {
      call,
      tell: (name: keyof CounterCalls, argument: never) => void call(name, argument).catch(() => {}),
    };
    const silence = () => {
      isSilent = true;
    };
    return { counters: new PrimaryCounterStore(link as never), release, silence };
  };
  return { primary, calls, startWorker };
}

const codeOf = (promise: unknown): Promise<string> =>
  Promise.resolve(promise).then(
    () => "none",
    (error: unknown) => (error instanceof ProxyError ? error.code : String(error)),
  );

test("a worker calls the primary only if there is a limit", async () => {
  const { calls, startWorker } = startPrimary();
  const { counters } = startWorker();
  expect(createStreamLimit(counters, "main", {})).toBeUndefined();
  expect(counters.connections.take(false)).toBe(1);
  expect(counters.connections.take(false)).toBe(2);
  counters.connections.release();
  expect(counters.connections.own).toBe(1);
  expect(calls).toEqual([]);
});

test("places are counted by name for all workers; those of a worker that has ended are released", async () => {
  const { startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()];
  const limits = { streams: 2, streamsPerClient: undefined };
  const inA = createStreamLimit(a.counters, "main", limits);
  const inB = createStreamLimit(b.counters, "main", limits);
  const leave = await inA?.take("10.0.0.1");
  await inB?.take("10.0.0.2");
  expect(await codeOf(inA?.take("10.0.0.3"))).toBe("too_many_streams");
  expect(await codeOf(createStreamLimit(b.counters, "other", limits)?.take("10.0.0.3"))).toBe("none");
  leave?.();
  leave?.();
  await inA?.take("10.0.0.3");
  expect(await codeOf(inA?.take("10.0.0.4"))).toBe("too_many_streams");
  b.release();
  expect(await codeOf(inA?.take("10.0.0.4"))).toBe("none");
});

const LEARN = { learn: "Session-Id" };
const BACKENDS = [{ url: "http://a.test" }, { url: "http://b.test" }];
const STICKY = { mock: undefined, upstream: { backends: BACKENDS, sticky: LEARN }, stages: { TEST: {} } };

test("the workers share sessions, and each keeps them while the primary does not answer", async () => {
  const { primary, startWorker } = startPrimary();
  primary.keep(configOf(STICKY));
  const [a, b] = [startWorker(), startWorker()];
  const bounds = { maxKeys: 10, expires: 60_000 };
  const inA = a.counters.sessions("main", "TEST", bounds);
  const inB = b.counters.sessions("main", "TEST", bounds);
  await inA.put("s", "one");
  await inA.put("t", "two");
  expect([await inB.find("s"), await inB.find("u")]).toEqual(["one", undefined]);
  expect(await b.counters.sessions("main", "RELEASE", bounds).find("s")).toBeUndefined();
  a.silence();
  b.silence();
  expect([await inA.find("s"), await inA.find("t")]).toEqual(["one", "two"]);
  // What b has read before, it knows by itself.
  expect([await inB.find("s"), await inB.find("t")]).toEqual(["one", undefined]);
});

test("a reload keeps the sessions of the routes and environments that still learn", async () => {
  const { primary, startWorker } = startPrimary();
  primary.keep(configOf(STICKY));
  const bounds = { maxKeys: 10, expires: 60_000 };
  const put = (environment: string) =>
    startWorker().counters.sessions("main", environment, bounds).put("s", "one");
  const find = (environment: string) =>
    startWorker().counters.sessions("main", environment, bounds).find("s");
  await put("RELEASE");
  await put("TEST");
  primary.keep(configOf({ ...STICKY, stages: {} }));
  expect([await find("RELEASE"), await find("TEST")]).toEqual(["one", undefined]);
  primary.keep(configOf());
  expect(await find("RELEASE")).toBeUndefined();
});

test("without an answer a stream is refused, and a place taken for it is released", async () => {
  const { startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()];
  const limits = { streams: 1, streamsPerClient: undefined };
  a.silence();
  expect(await codeOf(createStreamLimit(a.counters, "main", limits)?.take("10.0.0.1"))).toBe(
    "too_many_streams",
  );
  expect(await codeOf(createStreamLimit(b.counters, "main", limits)?.take("10.0.0.1"))).toBe("none");
});

test("connections are counted for all workers once there is a limit", async () => {
  const { startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()];
  void a.counters.connections.take(false);
  void a.counters.connections.take(false);
  expect(await b.counters.connections.take(true)).toBe(1);
  a.counters.connections.limit();
  expect(await b.counters.connections.take(true)).toBe(4);
  a.counters.connections.release();
  expect(await b.counters.connections.take(true)).toBe(4);
  a.release();
  expect(await b.counters.connections.take(true)).toBe(4);
  b.silence();
  await expect(b.counters.connections.take(true)).rejects.toThrow(CounterStoreUnavailable);
});

test("a rate has one window for all workers, which an unrelated reload leaves unchanged", async () => {
  const { primary, startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()].map(({ counters }) => counters.windows("main", RATE));
  const over = async () => [await a?.take("k"), await b?.take("k")].map((count) => count?.isOver);
  expect(await over()).toEqual([false, false]);
  await a?.release("k");
  primary.keep(configOf({ limits: { rate: { requests: 3, per: "60s", maxKeys: 10 } }, websocket: true }));
  expect(await over()).toEqual([false, false]);
  expect(await over()).toEqual([true, true]);
  primary.keep(configOf());
  expect(await over()).toEqual([false, false]);
});

test("without an answer each worker counts requests for itself", async () => {
  const { startWorker } = startPrimary();
  const worker = startWorker();
  const rate = worker.counters.windows("main", RATE);
  worker.silence();
  const counts = [];
  for (let n = 0; n < 4; n++) counts.push((await rate.take("k")).isOver);
  expect(counts).toEqual([false, false, false, true]);
});

test("signatures and tickets are used once in all workers; without an answer they are refused", async () => {
  const { primary, startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()];
  const signature = Buffer.from("signature");
  const now = Date.now();
  expect(await a.counters.signatures.useOnce(signature, now + 1000, now)).toBe("new");
  expect(await b.counters.signatures.useOnce(signature, now + 1000, now)).toBe("seen");
  const principal = { app: undefined, key: "k", fields: [["X-App-Id", "k"]] as const, expiresAt: undefined };
  const issued = { principal, path: "/", expiresAt: now + 1000 };
  expect(await a.counters.tickets("main").put("hash", issued, 1)).toBeUndefined();
  expect(await b.counters.tickets("main").put("other", issued, 1)).toBe(now + 1000);
  expect(await b.counters.tickets("other").take("hash")).toBeUndefined();
  expect(await b.counters.tickets("main").take("hash")).toEqual(issued);
  expect(await a.counters.tickets("main").take("hash")).toBeUndefined();
  await a.counters.tickets("main").put("third", issued, 1);
  primary.keep(configOf({ auth: { app: ["app"] } }));
  expect(await a.counters.tickets("main").take("third")).toBeUndefined();
  a.silence();
  const another = a.counters.signatures.useOnce(Buffer.from("another"), now + 1000, now);
  expect(await codeOf(knownUse(another))).toBe("replay_unknown");
  expect(await codeOf(knownUse(a.counters.tickets("main").take("hash")))).toBe("replay_unknown");
});
