import { expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import type { RateConfig } from "../../../src/config/limits-schema.ts";
import type { CounterCalls } from "../../../src/workers/calls.ts";
import { PrimaryCounters } from "../../../src/workers/primary-counters.ts";
import { RemoteCounters } from "../../../src/workers/remote-counters.ts";
import { inlineConfig } from "../../support/gateway.ts";

const MOCK = { match: { path: "/*" }, mock: { status: 200 } };
const RATE: RateConfig = { requests: 3, per: 60_000, by: "route", maxKeys: 10 };
const configOf = (route: Readonly<Record<string, unknown>> = {}) =>
  inlineConfig({ routes: { main: { ...MOCK, ...route } }, apps: { app: { key: "k", secret: "s" } } });

/** Workers of one primary, without processes in between. */
function startPrimary() {
  const primary = new PrimaryCounters(configOf());
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
    return { counters: new RemoteCounters(link as never), release, silence };
  };
  return { primary, calls, startWorker };
}

const codeOf = (promise: unknown): Promise<string> =>
  Promise.resolve(promise).then(
    () => "none",
    (error: unknown) => (error instanceof ProxyError ? error.code : String(error)),
  );

test("nothing is asked where nothing is limited", async () => {
  const { calls, startWorker } = startPrimary();
  const { counters } = startWorker();
  expect(counters.streams("main", {})).toBeUndefined();
  expect(counters.connections.enter(false)).toBe(1);
  expect(counters.connections.enter(false)).toBe(2);
  counters.connections.leave();
  expect(counters.connections.own).toBe(1);
  expect(calls).toEqual([]);
});

test("streams: one count for all, by place; a worker that is gone leaves its places", async () => {
  const { startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()];
  const limits = { streams: 2, streamsPerClient: undefined };
  const inA = a.counters.streams("main", limits);
  const inB = b.counters.streams("main", limits);
  const leave = await inA?.acquire("10.0.0.1");
  await inB?.acquire("10.0.0.2");
  expect(await codeOf(inA?.acquire("10.0.0.3"))).toBe("too_many_streams");
  expect(await codeOf(b.counters.streams("other", limits)?.acquire("10.0.0.3"))).toBe("none");
  leave?.();
  leave?.();
  await inA?.acquire("10.0.0.3");
  expect(await codeOf(inA?.acquire("10.0.0.4"))).toBe("too_many_streams");
  b.release();
  expect(await codeOf(inA?.acquire("10.0.0.4"))).toBe("none");
});

test("streams: without an answer there is no place, and one that was given comes back", async () => {
  const { startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()];
  const limits = { streams: 1, streamsPerClient: undefined };
  a.silence();
  expect(await codeOf(a.counters.streams("main", limits)?.acquire("10.0.0.1"))).toBe("too_many_streams");
  expect(await codeOf(b.counters.streams("main", limits)?.acquire("10.0.0.1"))).toBe("none");
});

test("connections: those of all, once there is a limit", async () => {
  const { startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()];
  void a.counters.connections.enter(false);
  void a.counters.connections.enter(false);
  expect(await b.counters.connections.enter(true)).toBe(1);
  a.counters.connections.limit();
  expect(await b.counters.connections.enter(true)).toBe(4);
  a.counters.connections.leave();
  expect(await b.counters.connections.enter(true)).toBe(4);
  a.release();
  expect(await b.counters.connections.enter(true)).toBe(4);
  b.silence();
  expect(await b.counters.connections.enter(true)).toBe(5);
});

test("rates: one window for all, which a reload of something else leaves alone", async () => {
  const { primary, startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()].map(({ counters }) => counters.rate("main", RATE));
  const over = async () => [await a?.consume("k"), await b?.consume("k")].map((count) => count?.isOver);
  expect(await over()).toEqual([false, false]);
  await a?.giveBack("k");
  primary.keep(configOf({ limits: { rate: { requests: 3, per: "60s", maxKeys: 10 } }, websocket: true }));
  expect(await over()).toEqual([false, false]);
  expect(await over()).toEqual([true, true]);
  primary.keep(configOf());
  expect(await over()).toEqual([false, false]);
});

test("rates: without an answer each counts for itself", async () => {
  const { startWorker } = startPrimary();
  const worker = startWorker();
  const rate = worker.counters.rate("main", RATE);
  worker.silence();
  const counts = [];
  for (let n = 0; n < 4; n++) counts.push((await rate.consume("k")).isOver);
  expect(counts).toEqual([false, false, false, true]);
});

test("signatures and tickets: used once by all; without an answer not known to be new", async () => {
  const { primary, startWorker } = startPrimary();
  const [a, b] = [startWorker(), startWorker()];
  const signature = Buffer.from("signature");
  const now = Date.now();
  expect(await a.counters.seen.admit(signature, now + 1000, now)).toBe("new");
  expect(await b.counters.seen.admit(signature, now + 1000, now)).toBe("seen");
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
  expect(await a.counters.seen.admit(Buffer.from("another"), now + 1000, now)).toBe("unknown");
});
