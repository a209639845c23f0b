import { afterAll, beforeAll, expect, test } from "vitest";
import { MemoryCounterStore } from "../../../src/limits/memory-counter-store.ts";
import { slotOf } from "../../../src/redis/slot.ts";
import { eventually } from "../../support/eventually.ts";
import { idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { type RedisClusterServers, startCluster } from "../../support/redis-cluster.ts";

const LATER = { timeoutMs: 20_000 };

let cluster: RedisClusterServers;
beforeAll(async () => {
  cluster = await startCluster();
}, 60_000);
afterAll(() => cluster.close());

const store = (options: Readonly<Record<string, unknown>> = {}) =>
  startStore({ cluster: { nodes: cluster.nodes } }, options);

/** Returns a leader and a follower of each key, at two instances. */
async function pairs(prefix: string, keys: readonly string[]) {
  const [one, other] = [store({ prefix }), store({ prefix })];
  const leaders = keys.map((key) => new RecordFeed(one, { key }).start());
  await eventually(() => leaders.every(({ isLeading }) => isLeading), "leaders of all streams");
  const followers = keys.map((key) => new RecordFeed(other, { key }).start());
  await eventually(() => followers.every(({ told }) => told.includes("follow")), "followers of all streams");
  return { one, other, leaders, followers };
}

test("a slot is computed as by Redis", async () => {
  for (const key of ["123456789", "sluice:1:{7}:a:meta", "{}a", "a{b", "{ä}x", "a}{b}{c}"])
    expect([key, slotOf(key)]).toEqual([key, await cluster.slotOf(key)]);
});

test("streams are spread over all masters, and each event reaches both instances once", async () => {
  const keys = Array.from({ length: 60 }, (_, at) => `stream ${at}`);
  const { one, leaders, followers } = await pairs("spread", keys);
  for (let id = 1; id <= 30; id += 3) for (const leader of leaders) leader.append(...idsFrom(id, id + 2));
  await eventually(() => followers.every(({ live }) => live.length === 30), "all events", LATER);
  for (const feed of [...leaders, ...followers]) {
    expect(feed.live).toEqual(idsFrom(1, 30));
    expect(feed.told).not.toContain("degraded");
  }
  expect(one.health).toMatchObject({ isReady: true, degraded: 0 });
  expect([...one.health.invalid.values()].every((count) => count === 0)).toBe(true);
  for (const { client } of cluster.masters)
    expect((await client.keys("spread:*:events")).length).toBeGreaterThan(10);
  // One connection for commands and at most 32 that wait for events, whatever the number of streams.
  const clients = await Promise.all(cluster.masters.map(({ client }) => client.client("LIST")));
  const readers = clients.flatMap((text) => String(text).match(/name=sluice-\w+-reader/g) ?? []);
  expect(readers.length).toBeLessThanOrEqual(64);
});

test("rates, signatures, tickets, sessions and names of answers are common to all instances", async () => {
  const [one, other] = [store(), store()];
  await eventually(() => one.health.isReady && other.health.isReady);
  const [a, b] = [one, other].map((each) => each.counters(new MemoryCounterStore(100)));
  const now = Date.now();
  const issued = {
    path: "/a",
    expiresAt: now + 60_000,
    principal: { app: undefined, key: "k", fields: [], expiresAt: undefined },
  };
  const rate = { requests: 5, per: 60_000, by: "address", maxKeys: 100 };
  const [ofA, ofB] = [a?.windows("route", rate), b?.windows("route", rate)];
  const sessions = [a, b].map((each) => each?.sessions("route", "", { maxKeys: 100, expires: 60_000 }));
  for (let at = 0; at < 20; at += 1) {
    await ofA?.take(`client ${at}`);
    expect((await ofB?.take(`client ${at}`))?.remaining).toBe(3);
    const signature = Buffer.from(`signature ${at}`);
    expect(await a?.signatures.useOnce(signature, now + 60_000, now)).toBe("new");
    expect(await b?.signatures.useOnce(signature, now + 60_000, now)).toBe("seen");
    expect(await a?.tickets(`r${at}`).put("hash", issued, 10)).toBeUndefined();
    expect(await b?.tickets(`r${at}`).take("hash")).toEqual(issued);
    expect(await a?.tickets(`r${at}`).take("hash")).toBeUndefined();
    const backend = "b".repeat(22);
    await sessions[0]?.put(`session ${at}`, backend);
    expect(await sessions[1]?.find(`session ${at}`)).toBe(backend);
    const id = `${at}`.padStart(22, "a");
    expect(await one.answers.claim(`name ${at}`, { id, replaced: undefined }, 60_000)).toBe(id);
    expect(await other.answers.find(`name ${at}`)).toBe(id);
    const record = { route: "r", key: id, definition: "d" };
    await one.answers.attend(record, 60_000);
    expect(await other.answers.isAttended(record)).toBe(true);
    expect(await other.answers.has(record)).toBe(false);
    await other.answers.forget(record);
  }
  for (const each of sessions) each?.close();
  for (const each of [ofA, ofB]) each?.close();
});

test("while a slot is moved to another master, its stream loses no event and repeats none", async () => {
  const { leaders, followers, other } = await pairs("moved", ["stream"]);
  const [leader, follower] = [leaders[0] as RecordFeed, followers[0] as RecordFeed];
  let last = 0;
  const append = async () => {
    leader.append(...idsFrom(last + 1, last + 5));
    last += 5;
    await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await append();
  await eventually(() => follower.live.length === last);
  const [key = ""] = await cluster.keys("moved:*:events");
  const from = await cluster.masterOf(key);
  const to = cluster.masters.find((master) => master !== from) as typeof from;
  for (const [source, target] of [
    [from, to],
    [to, from],
  ] as const) {
    await cluster.moveSlot(slotOf(key), source, target, append);
    await append();
    await eventually(() => follower.live.length === last, "the events after the move", LATER);
    await eventually(() => !leader.isDegraded, "an end of the degradation", LATER);
    expect(await target.client.exists(key)).toBe(1);
  }
  expect(leader.live).toEqual(idsFrom(1, last));
  expect(follower.live).toEqual(idsFrom(1, last));
  expect(follower.records).toBe(1);
  expect(other.health.degraded).toBe(0);
});

test("while one master is away, only the streams in its slots go on without Redis", async () => {
  const keys = Array.from({ length: 30 }, (_, at) => `stream ${at}`);
  const { one, leaders } = await pairs("away", keys);
  for (const leader of leaders) leader.append(...idsFrom(1, 5));
  await eventually(() => leaders.every(({ live }) => live.length === 5));
  const master = cluster.masters[1] as (typeof cluster.masters)[0];
  const there = await master.client.keys("away:*:events");
  expect(there.length).toBeGreaterThan(0);
  master.freeze();
  try {
    for (const leader of leaders) leader.append(...idsFrom(6, 10));
    await eventually(() => leaders.every(({ live }) => live.length === 10), "the events", LATER);
    await eventually(() => one.health.degraded === there.length, "the degradation of its streams", LATER);
    expect(one.health.isReady).toBe(false);
  } finally {
    master.thaw();
  }
  await eventually(() => one.health.degraded === 0 && one.health.isReady, "an end of the degradation", LATER);
  for (const leader of leaders) expect(leader.live).toEqual(idsFrom(1, 10));
  for (const key of await cluster.keys("away:*:events"))
    expect(await (await cluster.masterOf(key)).client.xlen(key)).toBe(10);
});

test("when a master is killed and its replica takes over, no event is lost or repeated", async () => {
  const { leaders, followers, one } = await pairs("failover", ["stream"]);
  const [leader, follower] = [leaders[0] as RecordFeed, followers[0] as RecordFeed];
  leader.append(...idsFrom(1, 10));
  await eventually(() => follower.live.length === 10);
  const [key = ""] = await cluster.keys("failover:*:events");
  const master = await cluster.masterOf(key);
  const replica = await cluster.addReplica(master);
  // As an asynchronous replication that lags.
  replica.freeze();
  leader.append(...idsFrom(11, 20));
  await eventually(() => leader.live.length === 20 && follower.live.length === 20, "the events, accepted");
  await master.kill();
  replica.thaw();
  // As an operator does; the vote of the other masters takes longer on a busy machine.
  await eventually(() => replica.client.call("CLUSTER", "FAILOVER", "TAKEOVER"), "a new master", LATER);
  leader.append(...idsFrom(21, 30));
  await eventually(() => follower.live.length >= 30, "the events through the promoted replica", LATER);
  await eventually(() => one.health.isReady && one.health.degraded === 0, "an end of the degradation", LATER);
  expect(leader.live).toEqual(idsFrom(1, 30));
  expect(follower.live).toEqual(idsFrom(1, 30));
  expect(await replica.client.xlen(key)).toBe(30);
  expect([leader.records, follower.records]).toEqual([1, 1]);
}, 60_000);
