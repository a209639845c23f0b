import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { draftWithoutId, idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { startRedis, startReplica } from "../../support/redis.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

/**
 * Starts a leader and a follower of one stream, as two instances. Refused connections are tried again after at most 2
 * s: the leader may find Redis that much later than the follower, which must not lead meanwhile.
 */
async function startPair(url: string, otherUrl = url) {
  const lease = "3s";
  const leader = new RecordFeed(startStore(url, { lease })).start();
  await eventually(() => leader.isLeading);
  const follower = new RecordFeed(startStore(otherUrl, { lease })).start();
  await eventually(() => follower.told.includes("follow"));
  return { leader, follower };
}

const seen = async (feed: RecordFeed, ids: readonly string[], timeoutMs = 10_000) => {
  await eventually(() => feed.live.length >= ids.length, `${ids.length} events, not ${feed.live.length}`, {
    timeoutMs,
  });
  expect(feed.live).toEqual(ids);
};

test("a Redis that returns empty gets the history from the leader, without a missing or repeated event", async () => {
  const server = await startRedis();
  const { leader, follower } = await startPair(server.url);
  leader.append(...idsFrom(1, 100));
  await seen(follower, idsFrom(1, 100));

  await server.restart();
  leader.append(...idsFrom(101, 200));
  await seen(leader, idsFrom(1, 200));
  await seen(follower, idsFrom(1, 200));
  expect([leader.records, follower.records]).toEqual([1, 1]);

  const third = new RecordFeed(startStore(server.url)).start();
  await eventually(() => third.told.includes("follow"));
  expect(third.ids).toEqual(idsFrom(1, 200));
});

test("when Redis is empty and its leader is gone, earlier ids are unknown", async () => {
  const server = await startRedis();
  const before = new RecordFeed(startStore(server.url)).start();
  await eventually(() => before.isLeading);
  before.store.append([draftWithoutId("one")]);
  await eventually(() => before.live.length === 1);
  const [old = ""] = before.ids;
  before.store.close();
  await server.restart();

  const after = new RecordFeed(startStore(server.url)).start();
  await eventually(() => after.isLeading);
  after.store.append([draftWithoutId("other")]);
  await eventually(() => after.live.length === 1);
  expect(after.ids).not.toContain(old);
  expect(after.history.seqOf(old)).toBeUndefined();
});

test("a Redis that returns with its data continues where it was", async () => {
  const server = await startRedis({ appendOnly: true });
  const { leader, follower } = await startPair(server.url);
  leader.append(...idsFrom(1, 100));
  await seen(follower, idsFrom(1, 100));
  await server.restart();
  leader.append(...idsFrom(101, 110));
  await seen(follower, idsFrom(1, 110));
  expect([leader.records, follower.records]).toEqual([1, 1]);
});

test("after a failover to a replica that lags, the leader writes the missing events again", async () => {
  const primary = await startRedis();
  const replica = await startReplica(primary);
  const network = await startTcpProxy(primary.port);
  const { leader, follower } = await startPair(`redis://127.0.0.1:${network.port}`);
  leader.append(...idsFrom(1, 50));
  await seen(follower, idsFrom(1, 50));
  await eventually(async () => (await replica.client.keys("*:events")).length === 1);

  // The replica has the first 50 events and none of the next.
  await replica.client.replicaof("NO", "ONE");
  leader.append(...idsFrom(51, 100));
  await seen(follower, idsFrom(1, 100));
  network.target = replica.port;
  await primary.kill();

  leader.append(...idsFrom(101, 150));
  await seen(leader, idsFrom(1, 150));
  await seen(follower, idsFrom(1, 150));
  const third = new RecordFeed(startStore(replica.url)).start();
  await eventually(() => third.told.includes("follow"));
  expect(third.ids).toEqual(idsFrom(1, 150));
});

test("on a read-only replica events are delivered at once, and written when it is promoted", async () => {
  const primary = await startRedis();
  const replica = await startReplica(primary);
  const network = await startTcpProxy(primary.port);
  const url = `redis://127.0.0.1:${network.port}`;
  const leader = new RecordFeed(startStore(url)).start();
  await eventually(() => leader.isLeading);
  leader.append(...idsFrom(1, 10));
  await seen(leader, idsFrom(1, 10));
  network.target = replica.port;
  network.cut();
  network.heal();

  leader.append(...idsFrom(11, 20));
  await seen(leader, idsFrom(1, 20));
  expect(leader.isDegraded).toBe(true);
  await primary.kill();
  await replica.client.replicaof("NO", "ONE");
  await eventually(() => !leader.isDegraded, "an end of the degradation");
  const other = new RecordFeed(startStore(replica.url)).start();
  await eventually(() => other.told.includes("follow"));
  expect(other.ids).toEqual(idsFrom(1, 20));
});
