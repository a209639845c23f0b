import { expect, test } from "vitest";
import { CatchUp } from "../../../src/shared/catch-up.ts";
import { History } from "../../../src/shared/history.ts";
import { MemoryStore } from "../../../src/shared/memory-store.ts";
import type { ChannelStore } from "../../../src/shared/store.ts";

const event = { seq: 1, id: "known", backendId: "known", at: 0, block: Buffer.from("data\n\n") };

const onFault = (error: unknown): void => {
  throw error;
};

function createHistory(): History {
  const history = new History({ events: 10, bytes: 1000, ageMs: 1e9 });
  history.reset({ epoch: "e", lastSeq: 1, events: [event] });
  return history;
}

/** A store that reads on when the test says so. */
function createSlowStore() {
  let finish = (): void => {};
  let reads = 0;
  const store: ChannelStore = {
    ...new MemoryStore().open(),
    catchUp: () => {
      reads += 1;
      return new Promise((resolve) => {
        finish = resolve;
      });
    },
  };
  return { store, finish: () => finish(), reads: () => reads };
}

test("a client without an id or with a known id does not wait", () => {
  const { store, reads } = createSlowStore();
  const seeker = new CatchUp(createHistory(), store, onFault);
  expect(seeker.seek({ lastEventId: "" }, () => {})).toBe(false);
  expect(seeker.seek({ lastEventId: "known" }, () => {})).toBe(false);
  expect(reads()).toBe(0);
});

test("a client with an unknown id waits once, until the store has been read", async () => {
  const { store, finish, reads } = createSlowStore();
  const seeker = new CatchUp(createHistory(), store, onFault);
  const client = { lastEventId: "on its way" };
  let sought = 0;
  const seek = () => seeker.seek(client, () => (sought += 1));
  expect([seek(), seek()]).toEqual([true, true]);
  expect([reads(), sought]).toEqual([1, 0]);
  finish();
  await Promise.resolve();
  await Promise.resolve();
  expect(sought).toBe(1);
});

test("without a store to read, no client waits", () => {
  const seeker = new CatchUp(createHistory(), new MemoryStore().open(), onFault);
  expect(seeker.seek({ lastEventId: "unknown" }, () => {})).toBe(false);
});
