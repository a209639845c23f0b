import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { startRedis } from "../../support/redis.ts";

test("connections that Redis closes again and again cause no missing and no repeated event", async () => {
  const server = await startRedis();
  // The leader must not change while both instances have no connection.
  const leader = new RecordFeed(startStore(server.url, { lease: "5s" })).start();
  await eventually(() => leader.isLeading);
  const follower = new RecordFeed(startStore(server.url, { lease: "5s" })).start();
  await eventually(() => follower.told.includes("follow"));

  for (let round = 0; round < 10; round += 1) {
    for (let at = 1; at <= 100; at += 10) {
      leader.append(...idsFrom(round * 100 + at, round * 100 + at + 9));
      // All other connections of this server belong to the two instances.
      if (at === 41) await server.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    }
    const count = (round + 1) * 100;
    await eventually(() => follower.live.length >= count && leader.live.length >= count, `${count} events`);
  }
  expect(follower.live).toEqual(idsFrom(1, 1000));
  expect(leader.live).toEqual(idsFrom(1, 1000));
  expect([leader.records, follower.records]).toEqual([1, 1]);
});

test("a follower that is behind the oldest kept event gets the kept events as a new record", async () => {
  const server = await startRedis();
  const bounds = { events: 20, bytes: 8 * 1024 ** 2, ageMs: 600_000 };
  const leader = new RecordFeed(startStore(server.url), { bounds }).start();
  await eventually(() => leader.isLeading);
  const follower = new RecordFeed(startStore(server.url), { bounds }).start();
  await eventually(() => follower.told.includes("follow"));
  leader.append("1");
  await eventually(() => follower.live.length === 1);
  // As after a long absence: entries that the follower has not read are gone.
  const [events = ""] = await server.client.keys("*:events");
  await server.client.multi().client("PAUSE", 300, "ALL").exec();
  leader.append(...idsFrom(2, 400));
  await eventually(() => follower.history.lastSeq === 400, "the newest event", { timeoutMs: 10_000 });
  expect(follower.ids.slice(-20)).toEqual(idsFrom(381, 400));
  expect(await server.client.xlen(events)).toBeLessThanOrEqual(20);
  // The follower has either read everything, or got a new record.
  if (follower.live.length < 400) expect(follower.records).toBe(2);
});
