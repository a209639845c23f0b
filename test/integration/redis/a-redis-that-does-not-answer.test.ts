import { expect, test } from "vitest";
import { refusedPort } from "../../support/backend.ts";
import { eventually } from "../../support/eventually.ts";
import { idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { RedisServer, startRedis } from "../../support/redis.ts";

async function startLeader(url: string, lease = "1s"): Promise<RecordFeed> {
  const leader = new RecordFeed(startStore(url, { lease })).start();
  await eventually(() => leader.isLeading);
  return leader;
}

test("without Redis at the start a stream opens within the timeout, and is written to Redis later", async () => {
  const port = await refusedPort();
  const store = startStore(`redis://127.0.0.1:${port}`);
  const feed = new RecordFeed(store).start();
  await eventually(() => feed.isLeading, "a stream without Redis", { timeoutMs: 4_000 });
  expect(feed.told).toEqual(["record", "degraded", "lead"]);
  expect(store.health).toMatchObject({ isReady: false, degraded: 1 });
  feed.append(...idsFrom(1, 10));
  expect(feed.live).toEqual(idsFrom(1, 10));

  const server = await startRedis({ options: ["--port", String(port)] });
  expect(server).toBeInstanceOf(RedisServer);
  await eventually(() => !feed.isDegraded, "Redis to be joined", { timeoutMs: 10_000 });
  expect(feed.told).toEqual(["record", "degraded", "lead", "safe"]);
  const other = new RecordFeed(startStore(`redis://127.0.0.1:${port}`)).start();
  await eventually(() => other.told.includes("follow"));
  expect(other.ids).toEqual(idsFrom(1, 10));
});

test("a Redis that hangs delays an event by at most the timeout, and gets it when it goes on", async () => {
  const server = await startRedis();
  const leader = await startLeader(server.url, "10s");
  leader.append("1");
  await eventually(() => leader.live.length === 1);

  server.freeze();
  leader.append("2");
  const from = performance.now();
  await eventually(() => leader.live.length === 2);
  expect(performance.now() - from).toBeGreaterThan(300);
  // The timeout is 500 ms, and the lease 10 s.
  expect(performance.now() - from).toBeLessThan(2500);
  leader.append("3");
  expect(leader.live).toEqual(["1", "2", "3"]);

  server.thaw();
  await eventually(() => !leader.isDegraded, "an end of the degradation", { timeoutMs: 10_000 });
  const other = new RecordFeed(startStore(server.url)).start();
  await eventually(() => other.told.includes("follow"));
  expect(other.ids).toEqual(["1", "2", "3"]);
});

test("a Redis out of memory loses no event", async () => {
  const server = await startRedis({ options: ["--maxmemory-policy", "noeviction"] });
  const leader = await startLeader(server.url);
  leader.append(...idsFrom(1, 10));
  const follower = new RecordFeed(startStore(server.url)).start();
  await eventually(() => follower.live.length + follower.ids.length >= 10);
  await server.client.config("SET", "maxmemory", "1");

  leader.append(...idsFrom(11, 20));
  await eventually(() => leader.live.length === 20 && leader.isDegraded);
  // The follower asks the backend itself, for the events after its last one.
  await eventually(() => follower.isLeading, "a follower that helps itself", { timeoutMs: 10_000 });
  follower.append(...idsFrom(11, 20));
  expect(follower.ids).toEqual(idsFrom(1, 20));

  await server.client.config("SET", "maxmemory", "0");
  await eventually(() => !leader.isDegraded && !follower.isDegraded, "both in Redis", { timeoutMs: 10_000 });
  await eventually(() => Number(leader.isLeading) + Number(follower.isLeading) === 1, "one leader", {
    timeoutMs: 10_000,
  });
  expect([leader.records, follower.records]).toEqual([1, 1]);
  const one = leader.isLeading ? leader : follower;
  one.append("21");
  await eventually(() => leader.ids.length === 21 && follower.ids.length === 21);
  expect(follower.ids).toEqual(idsFrom(1, 21));
});

test("while Redis is away followers ask the backend themselves, and follow again without a repeated event", async () => {
  const server = await startRedis({ appendOnly: true });
  // Refused connections are tried again every 2 s, so the leader may be back that much later.
  const lease = "3s";
  const leader = await startLeader(server.url, lease);
  const follower = new RecordFeed(startStore(server.url, { lease })).start();
  await eventually(() => follower.told.includes("follow"));
  leader.append(...idsFrom(1, 10));
  await eventually(() => follower.live.length === 10);
  await server.kill();
  await eventually(() => follower.isLeading, "a follower that helps itself", { timeoutMs: 10_000 });
  leader.append(...idsFrom(11, 30));
  follower.append(...idsFrom(11, 25));
  await eventually(() => leader.live.length === 30);

  await server.start();
  await eventually(() => !follower.isLeading, "a follower that follows", { timeoutMs: 10_000 });
  await eventually(() => follower.live.length === 30);
  expect(follower.live).toEqual(idsFrom(1, 30));
  expect(leader.told).not.toContain("follow");
  expect([leader.records, follower.records]).toEqual([1, 1]);
});
