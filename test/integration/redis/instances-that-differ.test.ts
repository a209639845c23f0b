import { pino } from "pino";
import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { draft, idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { startRedis } from "../../support/redis.ts";

test("instances with different definitions of a route share no record", async () => {
  const { url } = await startRedis();
  const one = new RecordFeed(startStore(url), { definition: "backend a" }).start();
  await eventually(() => one.isLeading);
  const logged: string[] = [];
  const log = pino({ base: null }, { write: (line) => logged.push(line) });
  const two = new RecordFeed(startStore(url, {}, log), { definition: "backend b" }).start();
  await eventually(() => two.isLeading);
  one.append("of a");
  two.append("of b");
  await eventually(() => one.live.length === 1 && two.live.length === 1);
  expect([one.ids, two.ids]).toEqual([["of a"], ["of b"]]);
  await eventually(() => logged.join("").includes("another instance defines this route differently"));
});

test("instances with different prefixes share no record", async () => {
  const { url } = await startRedis();
  const one = new RecordFeed(startStore(url, { prefix: "blue" })).start();
  const two = new RecordFeed(startStore(url, { prefix: "green" })).start();
  await eventually(() => one.isLeading && two.isLeading);
});

test("fields of a newer version are ignored, and unreadable entries cause no unnoticed gap", async () => {
  const server = await startRedis();
  const leader = new RecordFeed(startStore(server.url)).start();
  await eventually(() => leader.isLeading);
  leader.append("1");
  await eventually(() => leader.live.length === 1);
  const follower = new RecordFeed(startStore(server.url)).start();
  await eventually(() => follower.told.includes("follow"));
  const [events = ""] = await server.client.keys("*:events");
  const [token = ""] = (await server.client.xrevrange(events, "+", "-", "COUNT", 1))[0]?.[0].split("-") ?? [];
  const { id = "", block } = draft("2");
  const known = ["i", id, "n", id, "t", "1", "b", block];
  await server.client.xadd(events, `${token}-2`, "v", "2", "colour", "blue", ...known);
  await eventually(() => follower.live.length === 1);
  expect(follower.ids).toEqual(["1", "2"]);

  await server.client.xadd(events, `${token}-3`, "v", "9", "packed", "?");
  await eventually(() => follower.records > 1, "a new record");
  expect([follower.history.lastSeq, follower.ids]).toEqual([3, []]);
  await server.client.xadd(
    events,
    `${token}-4`,
    "v",
    "1",
    "i",
    "4",
    "n",
    "4",
    "t",
    "1",
    "b",
    draft("4").block,
  );
  await eventually(() => follower.live.includes("4"));
});

test("an idle instance holds nothing in Redis except two connections", async () => {
  const server = await startRedis();
  const leader = new RecordFeed(startStore(server.url)).start();
  await eventually(() => leader.isLeading);
  leader.append(...idsFrom(1, 3));
  await eventually(() => leader.live.length === 3);
  leader.store.close();
  await eventually(async () => (await server.client.keys("*:lease")).length === 0, "no lease");
  const list = String(await server.client.client("LIST"));
  expect(list.match(/name=sluice-/g)).toHaveLength(2);
});
