import { expect, test } from "vitest";
import { eventually, SOON_MS } from "../../support/eventually.ts";
import { idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { type RedisServer, startRedis, startReplica } from "../../support/redis.ts";
import { startSentinel } from "../../support/redis-sentinel.ts";

const LATER = { timeoutMs: 20_000 };

/** Returns a master with a replica, and two instances that share a stream through a sentinel. */
async function startPair() {
  const master = await startRedis();
  const replica = await startReplica(master);
  const sentinel = await startSentinel(master.port);
  const hasReplica = async () =>
    ((await sentinel.client.call("SENTINEL", "REPLICAS", "main")) as unknown[]).length > 0;
  await eventually(hasReplica, "the sentinel to find the replica", LATER);
  // The first sentinel cannot be reached.
  const nodes = ["127.0.0.1:1", `127.0.0.1:${sentinel.port}`];
  const [one, other] = [0, 1].map(() => startStore({ sentinel: { name: "main", nodes } }));
  const leader = new RecordFeed(one as typeof one & object).start();
  await eventually(() => leader.isLeading);
  const follower = new RecordFeed(other as typeof other & object).start();
  await eventually(() => follower.told.includes("follow"));
  leader.append(...idsFrom(1, 10));
  await eventually(() => follower.live.length === 10);
  return { master, replica, sentinel, leader, follower };
}

const entriesAt = async ({ client }: RedisServer) => {
  const [key = ""] = await client.keys("*:events");
  return (await client.xrange(key, "-", "+")).length;
};

test("after a planned failover both instances use the new master, and no event is lost or repeated", async () => {
  const { replica, sentinel, leader, follower } = await startPair();
  await eventually(() => sentinel.failOver(), "the start of the failover", LATER);
  for (let id = 11; id <= 50; id += 1) {
    leader.append(String(id));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await eventually(async () => (await sentinel.master()) === replica.port, "another master", LATER);
  await eventually(() => follower.live.length >= 50, "the events through the new master", LATER);
  // The former master accepts writes for 8 s more, until the sentinel makes it a replica.
  await eventually(async () => (await entriesAt(replica)) === 50, "all events at the new master", {
    timeoutMs: SOON_MS,
  });
  await eventually(() => !leader.isDegraded, "an end of the degradation", LATER);
  expect(leader.live).toEqual(idsFrom(1, 50));
  expect(follower.live).toEqual(idsFrom(1, 50));
}, 60_000);

test("events that the failed master had accepted and its replica lacks are written again", async () => {
  const { master, replica, sentinel, leader, follower } = await startPair();
  // As an asynchronous replication that lags.
  replica.freeze();
  leader.append(...idsFrom(11, 20));
  await eventually(() => leader.live.length === 20 && follower.live.length === 20, "the events, accepted");
  await master.kill();
  replica.thaw();
  await eventually(async () => (await sentinel.master()) === replica.port, "another master", LATER);
  leader.append(...idsFrom(21, 30));
  await eventually(() => follower.live.length >= 30, "the events through the new master", LATER);
  expect(follower.live).toEqual(idsFrom(1, 30));
  expect(leader.live).toEqual(idsFrom(1, 30));
  expect(await entriesAt(replica)).toBe(30);
  expect(leader.records).toBe(1);
  expect(follower.records).toBe(1);
}, 60_000);
