import fc from "fast-check";
import { expect, test } from "vitest";
import { Beats } from "../../../src/shared/beats.ts";
import type { Membership } from "../../../src/shared/channel-client.ts";
import { History } from "../../../src/shared/history.ts";
import { MemoryStore } from "../../../src/shared/memory-store.ts";
import { SharedTerms } from "../../../src/shared/shared-terms.ts";
import type { ChannelFeed, ChannelStore } from "../../../src/shared/store.ts";
import { Subscriber } from "../../../src/shared/subscriber.ts";
import { fakeExchange, fakeSharedRoute } from "../../support/fake-exchange.ts";
import { FakeResponse } from "../../support/fake-response.ts";

/**
 * Clients join, stall, drain, leave and reconnect with the last id that they received, even inside an event, while events
 * arrive, are delivered to some clients and are evicted. Over all of its connections each client gets every event once
 * and in order, or is told of a gap.
 */

/** `test/soak/hand-over.mjs` runs more of them. */
const CASES = Number(process.env["HAND_OVER_CASES"] ?? 15_000);
const SEED = process.env["HAND_OVER_SEED"];
const CLIENTS = 4;
const route = fakeSharedRoute({}, { stream: { prelude: false, clientBuffer: "1k" } });

type Step =
  | { readonly do: "append"; readonly count: number }
  | { readonly do: "join" | "stall" | "drain" | "deliver"; readonly who: number }
  | { readonly do: "leave"; readonly who: number; readonly taken: number }
  | { readonly do: "trim" };

const who = fc.nat({ max: CLIENTS - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("append" as const), count: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("join" as const), who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("deliver" as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("stall" as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drain" as const), who }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("leave" as const), who, taken: fc.nat({ max: 100 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "trim" as const }) },
);

/** A client with any number of connections, one after the other. */
class Listener {
  /** The events that it received; `gap` for each gap event. */
  readonly got: (number | "gap")[] = [];
  /** The position of the newest event when the client first connected. */
  since: number | undefined;
  lastId = "";
  response: FakeResponse | undefined;
  subscriber: Subscriber | undefined;

  /** Takes the events of a connection that has ended. */
  take(bytes: Buffer): void {
    // An event without its empty line is not an event.
    const whole = bytes.subarray(0, bytes.lastIndexOf("\n\n") + 1).toString("latin1");
    for (const [, line = "", value = ""] of whole.matchAll(/^(id|data|event): ?(.*)$/gm)) {
      if (line === "id") this.lastId = value;
      else if (line === "event") this.got.push("gap");
      else if (/^\d+$/.test(value)) this.got.push(Number(value));
    }
    this.response = undefined;
    this.subscriber = undefined;
  }
}

class World {
  readonly history = new History({ events: 12, bytes: 1_000_000, ageMs: 1e9 });
  readonly listeners = Array.from({ length: CLIENTS }, () => new Listener());
  readonly #store: ChannelStore;
  readonly #membership: Membership;
  #count = 0;

  constructor() {
    this.#store = new MemoryStore().open();
    const feed: ChannelFeed = {
      onRecord: (record) => this.history.reset(record),
      onEvents: (events) => {
        for (const event of events) this.history.push(event);
      },
      onState() {},
      onLead() {},
      onFollow() {},
      onDegraded() {},
      held: () => [],
    };
    this.#store.start(feed);
    this.#membership = {
      history: this.history,
      route,
      terms: new SharedTerms(route, this.history),
      beats: new Beats(
        undefined,
        () => {},
        () => {},
      ),
      retryMs: undefined,
      leave() {},
      blocked() {},
      untaken: { add() {} },
      scheduleRelease: () => this.history.releaseBatches(),
    };
  }

  run(taken: Step): void {
    if (taken.do === "append") return void this.#append(taken.count);
    if (taken.do === "trim") return void this.history.trim(Date.now());
    const listener = this.listeners[taken.who];
    if (listener === undefined) return;
    if (taken.do === "join") return void this.#join(listener);
    if (taken.do === "leave") return void this.#leave(listener, taken.taken);
    if (listener.response === undefined) return;
    if (taken.do === "stall") listener.response.isStalled = true;
    else if (taken.do === "drain") listener.response.drain();
    else listener.subscriber?.advance();
    // A slow client is ended; the bytes that it was given may have reached it.
    if (listener.response.isClosed) listener.take(listener.response.written);
  }

  /** Every client reconnects and reads the remaining events. */
  settle(): void {
    for (const listener of this.listeners) {
      if (listener.since === undefined) continue;
      if (listener.response !== undefined) this.#leave(listener, 100);
      this.#join(listener);
      listener.subscriber?.advance();
      if (listener.response !== undefined) listener.take(listener.response.written);
    }
  }

  #append(count: number): void {
    const drafts = Array.from({ length: count }, () => {
      this.#count += 1;
      // Every third event has an id of the backend.
      const id = this.#count % 3 === 0 ? `b${this.#count}` : undefined;
      const data = `data: ${this.#count}\n\n`;
      const block = Buffer.from(id === undefined ? data : `id: ${id}\n${data}`);
      return { id, showsId: id === undefined, backendId: id ?? "", block };
    });
    this.#store.append(drafts);
    this.history.releaseBatches();
  }

  #join(listener: Listener): void {
    if (listener.response !== undefined) return;
    listener.since ??= this.history.lastSeq;
    const response = new FakeResponse();
    listener.response = response;
    // A client that received nothing has no id to reconnect with, and begins with the next event.
    if (listener.lastId === "" && listener.got.length === 0) listener.since = this.history.lastSeq;
    listener.subscriber = new Subscriber(fakeExchange(), response, this.#membership, {
      lastEventId: listener.lastId,
      open: new Set(),
    });
    listener.subscriber.begin();
  }

  #leave(listener: Listener, percent: number): void {
    const { response } = listener;
    if (response === undefined) return;
    response.close();
    const { written } = response;
    listener.take(written.subarray(0, Math.ceil((written.length * percent) / 100)));
  }
}

function expectGapless({ got, since = 0 }: Listener, last: number): void {
  let next = since + 1;
  let mayJump = false;
  for (const item of got) {
    if (item === "gap") mayJump = true;
    else {
      if (mayJump) expect(item).toBeGreaterThanOrEqual(next);
      else expect(item).toBe(next);
      mayJump = false;
      next = item + 1;
    }
  }
  if (!mayJump) expect(next).toBe(last + 1);
}

test("replayed and live events join without a gap or a duplicate, in a million steps", () => {
  let steps = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120, size: "max" }), (taken) => {
      const world = new World();
      for (const one of taken) world.run(one);
      steps += taken.length;
      world.settle();
      for (const listener of world.listeners) {
        if (listener.since !== undefined) expectGapless(listener, world.history.lastSeq);
      }
    }),
    { numRuns: CASES, ...(SEED !== undefined && { seed: Number(SEED) }) },
  );
  if (SEED !== undefined) console.log(JSON.stringify({ interleavings: CASES, steps, seed: Number(SEED) }));
  expect(steps).toBeGreaterThan(CASES * 65);
}, 3_600_000);
