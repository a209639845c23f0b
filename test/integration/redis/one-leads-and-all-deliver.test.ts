import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { draftWithoutId, idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { startRedis } from "../../support/redis.ts";

/** Leadership and the connection to Redis must not depend on a machine that stands still for a second. */
const CALM = { lease: "5s", timeout: "5s" };

test("one of two instances leads, and both deliver every event in order", async () => {
  const { url } = await startRedis();
  const a = new RecordFeed(startStore(url, CALM)).start();
  await eventually(() => a.isLeading);
  const b = new RecordFeed(startStore(url, CALM)).start();
  await eventually(() => b.told.includes("follow"));

  for (let at = 1; at <= 500; at += 5) a.append(...idsFrom(at, at + 4));
  await eventually(() => a.live.length === 500 && b.live.length === 500);
  expect(a.live).toEqual(idsFrom(1, 500));
  expect(b.live).toEqual(idsFrom(1, 500));
  expect([a.told, b.told]).toEqual([
    ["record", "lead"],
    ["record", "follow"],
  ]);
});

test("an instance that joins later gets the history, including generated ids", async () => {
  const { url } = await startRedis();
  const a = new RecordFeed(startStore(url, CALM)).start();
  await eventually(() => a.isLeading);
  a.store.append(["x", "y", "z"].map(draftWithoutId));
  await eventually(() => a.live.length === 3);

  const b = new RecordFeed(startStore(url, CALM)).start();
  await eventually(() => b.told.includes("follow"));
  expect(b.ids).toEqual(a.ids);
  expect(b.history.after(0).map(({ block }) => String(block))).toEqual(
    a.history.after(0).map(({ block }) => String(block)),
  );
});

test("a state reaches other instances after the events before it", async () => {
  const { url } = await startRedis();
  const a = new RecordFeed(startStore(url, CALM)).start();
  await eventually(() => a.isLeading);
  const b = new RecordFeed(startStore(url, CALM)).start();
  await eventually(() => b.told.includes("follow"));
  let seenAtEnd = -1;
  const onState = b.onState.bind(b);
  b.onState = (state) => {
    if (state.is === "ended") seenAtEnd = b.live.length;
    onState(state);
  };
  a.append(...idsFrom(1, 100));
  a.store.announce({ is: "ended" });
  await eventually(() => b.states.at(-1)?.is === "ended");
  expect(seenAtEnd).toBe(100);
});

test("a leader that closes is replaced at once", async () => {
  const { url } = await startRedis();
  const a = new RecordFeed(startStore(url, { lease: "30s" })).start();
  await eventually(() => a.isLeading);
  a.append("1");
  const b = new RecordFeed(startStore(url, { lease: "30s" })).start();
  await eventually(() => b.told.includes("follow"));
  a.store.close();
  await eventually(() => b.isLeading);
  expect(b.ids).toEqual(["1"]);
});

test("events beyond the bounds are trimmed, and the newest stays", async () => {
  const server = await startRedis();
  const bounds = { events: 10, bytes: 1000, ageMs: 600_000 };
  const a = new RecordFeed(startStore(server.url, CALM), { bounds }).start();
  await eventually(() => a.isLeading);
  a.append(...idsFrom(1, 500));
  // On a busy machine events are delivered before Redis has all of them.
  await eventually(() => a.live.length === 500 && !a.isDegraded);
  const b = new RecordFeed(startStore(server.url, CALM), { bounds }).start();
  await eventually(() => b.told.includes("follow"));
  expect(b.ids).toEqual(idsFrom(491, 500));

  a.store.append([{ ...draftWithoutId("x".repeat(5000)), showsId: false }]);
  await eventually(() => b.history.lastSeq === 501);
  const [events = ""] = await server.client.keys("*:events");
  expect(await server.client.xlen(events)).toBe(1);
});

test("an instance that is asked for an event delivered elsewhere reads it at once", async () => {
  const { url } = await startRedis();
  const a = new RecordFeed(startStore(url, CALM)).start();
  await eventually(() => a.isLeading);
  const b = new RecordFeed(startStore(url, CALM)).start();
  await eventually(() => b.told.includes("follow"));
  expect(a.store.catchUp()).toBeUndefined();
  for (let round = 1; round <= 50; round += 1) {
    a.append(String(round));
    while (a.live.length < round) await new Promise(setImmediate);
    await b.store.catchUp();
    expect(b.live).toHaveLength(round);
  }
  expect(b.live).toEqual(idsFrom(1, 50));
});
