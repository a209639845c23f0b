import { EventEmitter } from "node:events";
import fc from "fast-check";
import { pino } from "pino";
import { expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import { Capacity } from "../../../src/limits/capacity.ts";
import { knownUse } from "../../../src/limits/counter-store.ts";
import { createStreamLimit } from "../../../src/limits/stream-limit.ts";
import { PrimaryLinkMetrics } from "../../../src/observe/link-metrics.ts";
import { CounterServer } from "../../../src/workers/counter-server.ts";
import { LinkFaults } from "../../../src/workers/link-faults.ts";
import type { Member } from "../../../src/workers/member.ts";
import { PrimaryCounterStore } from "../../../src/workers/primary-counter-store.ts";
import { type Peer, ProcessLink } from "../../../src/workers/process-link.ts";
import { COUNTER_CHECKS, PRIMARY_CHECKS, WORKER_CHECKS } from "../../../src/workers/schemas.ts";
import { WorkersAdminView } from "../../../src/workers/workers-view.ts";
import { inlineConfig } from "../../support/gateway.ts";

/** The other process, whose messages the test determines. */
class Other extends EventEmitter implements Peer {
  connected = true;
  /** The answer to the call under way. */
  answer: unknown;
  readonly sent: unknown[] = [];

  send(message: unknown, done: () => void): void {
    this.sent.push(message);
    const { sluice, id, name } = message as { sluice: string; id: number; name: string };
    if (sluice === "call")
      queueMicrotask(() => this.emit("message", { sluice: "answer", id, name, value: this.answer }));
    done();
  }
}

function faultsOf() {
  const faults: unknown[] = [];
  const metrics = new PrimaryLinkMetrics();
  const log = pino({ level: "silent" });
  return {
    faults,
    metrics,
    log,
    link: new LinkFaults(
      metrics,
      () => log,
      (error) => faults.push(error),
    ),
  };
}

/** Values that resemble a valid one; any part may be anything. */
const spoiled = (values: Readonly<Record<string, unknown>>): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.anything(),
    fc.record(
      Object.fromEntries(
        Object.entries(values).map(([name, value]) => [
          name,
          fc.oneof({ arbitrary: fc.constant(value), weight: 6 }, fc.anything()),
        ]),
      ),
      { requiredKeys: [] },
    ),
  );

const ISSUED = { path: "/", expiresAt: 1, principal: { key: "k", fields: [["X-App-Id", "a"]] } };
const RATE = { requests: 1, per: 1_000, by: "ip", maxKeys: 10 };
const SESSION = { route: "main", environment: "TEST", bounds: { maxKeys: 2, expires: 9 }, session: "s" };
const ARGUMENTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  admit: { signature: new Uint8Array(8), expiresAt: 1, now: 0 },
  putTicket: { route: "main", hash: "h", issued: ISSUED, limit: 2 },
  takeTicket: { route: "main", hash: "h" },
  countRequest: { route: "main", config: RATE, key: "k" },
  uncountRequest: { route: "main", config: RATE, key: "k" },
  findSession: SESSION,
  putSession: { ...SESSION, backend: "a".repeat(22) },
  enterStream: { id: 1, place: "main", limits: { streams: 5 }, address: "10.0.0.1" },
};

test("property: the primary answers or refuses any call of a worker, and never throws", async () => {
  const { faults, link } = faultsOf();
  const { answers, release } = new CounterServer(inlineConfig({ routes: {} })).serve();
  const other = new Other();
  const checks = { ours: PRIMARY_CHECKS, theirs: WORKER_CHECKS };
  new ProcessLink(other, { answers: { ...answers }, ...checks, faults: link });
  const call = fc
    .constantFrom(...Object.keys(COUNTER_CHECKS))
    .chain((name) => fc.tuple(fc.constant(name), spoiled(ARGUMENTS[name] ?? {})));
  await fc.assert(
    fc.asyncProperty(call, async ([name, value]) => {
      other.sent.length = 0;
      other.emit("message", { sluice: "call", id: 1, name, value });
      for (let turn = 0; turn < 20 && other.sent.length === 0; turn++) await Promise.resolve();
      expect(other.sent).toMatchObject([{ id: 1, name }]);
    }),
    { numRuns: 3_000 },
  );
  release();
  expect(faults).toEqual([]);
});

test("property: for any answer of the primary, a worker counts, refuses, or reports that it cannot know", async () => {
  const { faults, link } = faultsOf();
  const other = new Other();
  const checks = { ours: WORKER_CHECKS, theirs: PRIMARY_CHECKS };
  const counters = new PrimaryCounterStore(new ProcessLink(other, { answers: {}, ...checks, faults: link }));
  const limits = { streams: 1, streamsPerClient: undefined };
  const capacity = new Capacity({ ...limits, connections: 5 }, counters);
  const refusal = { code: "later", detail: "d", fields: [["Retry-After", "1"]] };
  const answer = fc.oneof(
    fc.anything(),
    spoiled(refusal),
    spoiled(ISSUED),
    spoiled({ isOver: false, remaining: 1, msLeft: 1 }),
    fc.constant("c".repeat(22)),
  );
  const sessions = counters.sessions("main", "TEST", SESSION.bounds);
  const refused = (error: unknown) => {
    expect(error).toBeInstanceOf(ProxyError);
    // Clients get the error's body; a code unknown to this version would have none.
    expect((error as ProxyError).body("id")).toContain("error_code");
    return undefined;
  };
  await fc.assert(
    fc.asyncProperty(answer, async (value) => {
      other.answer = value;
      const use = await knownUse(counters.signatures.useOnce(Buffer.from("s"), 1, 0)).catch(refused);
      expect([undefined, "new", "seen", "full"]).toContain(use);
      expect(typeof (await capacity.enter())).toBe("string");
      capacity.leave("served");
      const count = await counters.windows("main", { ...RATE, by: "ip" }).take("k");
      expect(Number.isFinite(count.remaining)).toBe(true);
      await Promise.resolve(createStreamLimit(counters, "main", limits)?.take("10.0.0.1")).catch(refused);
      const issued = await knownUse(counters.tickets("main").take("h")).catch(refused);
      if (issued !== undefined) expect(typeof issued.principal.key).toBe("string");
      const backend = await sessions.find("s");
      if (backend !== undefined) expect(backend).toMatch(/^[\w-]{22}$/);
      await sessions.put("s", "b".repeat(22));
    }),
    { numRuns: 2_000 },
  );
  expect(faults).toEqual([]);
});

const PAGE = {
  total: 1,
  offset: 0,
  limit: 10,
  streams: [{ id: "i", route: "r", path: "/", client: "c", ageMs: 1, bytes: 1, pendingBytes: 0 }],
};
const ANSWERS = { running: 1, kept: 1, bytes: 1, resumes: { attached: 1 } };
const NEVER = { count: 0, lastAt: 0 };
const VIEW = {
  incidents: { internal_error: NEVER, stall: NEVER, worker_died: NEVER },
  routes: [
    {
      ...{ name: "r", path: "/", streams: 1, events: 1, eventsPerSecond: 1, requests: 1, failures: 0 },
      answers: ANSWERS,
    },
  ],
  routeCount: 1,
  backends: [{ route: "r", backend: "b", state: "up", isOut: false, isBackup: false, inFlight: 0 }],
  backendCount: 1,
  backendsUp: 1,
  failures: [{ route: "r", reason: "no_backend", status: 502, total: 1, recent: 1, lastAt: 1 }],
  failureSums: { refused: 0, failed: 1 },
  unrecorded: { redis: 1 },
  ends: [{ id: "i", route: "r", reason: "completed", endedAt: 1 }],
  endCounts: { completed: 1 },
  streams: PAGE,
};
const METRIC = {
  name: "a",
  help: "h",
  type: "counter",
  aggregator: "sum",
  values: [{ value: 1, labels: {} }],
};

test("property: for any answer of the workers, the admin listener shows the valid parts", async () => {
  const { faults, metrics, link } = faultsOf();
  const other = new Other();
  const checks = { ours: PRIMARY_CHECKS, theirs: WORKER_CHECKS };
  const member = {
    id: 1,
    isServing: true,
    link: new ProcessLink(other, { answers: {}, ...checks, faults: link }),
  };
  const adminView = new WorkersAdminView(
    () => [member as unknown as Member],
    metrics,
    (error) => faults.push(error),
    { count: 1, needsStore: false },
  );
  const query = {
    ...({ offset: 0, limit: 10, sort: "oldest", route: undefined } as const),
    ...{ endRoute: undefined, endReason: undefined },
  };
  const answer = fc.oneof(
    spoiled(VIEW),
    spoiled(PAGE),
    fc.array(fc.oneof(spoiled(METRIC), fc.constant(METRIC)), { maxLength: 2 }),
  );
  await fc.assert(
    fc.asyncProperty(answer, async (value) => {
      other.answer = value;
      expect((await adminView.listStreams(query)).streams.length).toBeLessThanOrEqual(10);
      expect((await adminView.view(query)).backendsUp).toBeDefined();
      expect(await adminView.metrics()).toContain("sluice_worker_messages_invalid_total");
      adminView.left(member as unknown as Member);
      expect(await adminView.endStreams("i")).toBe(value === true);
    }),
    { numRuns: 300 },
  );
  expect(faults).toEqual([]);
});
