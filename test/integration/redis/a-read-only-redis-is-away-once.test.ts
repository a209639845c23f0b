import { pino } from "pino";
import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { startRedis } from "../../support/redis.ts";

test("a Redis that becomes a replica is reported as away once, and as back when it accepts writes", async () => {
  const server = await startRedis();
  const lines: { readonly msg: string; readonly fault?: string }[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line)) });
  const store = startStore(server.url, {}, log);
  const leader = new RecordFeed(store).start();
  await eventually(() => leader.isLeading);
  leader.append("1");
  await eventually(() => leader.live.length === 1);
  const logged = (msg: string) => lines.filter((line) => line.msg === msg);

  // Each refused write ends the connection, and the next connection is accepted at once.
  await server.client.replicaof("127.0.0.1", "1");
  leader.append(...idsFrom(2, 10));
  await eventually(() => leader.isDegraded);
  expect(leader.live).toEqual(idsFrom(1, 10));
  expect(logged("redis is away")).toMatchObject([{ fault: "a command was refused: READONLY" }]);
  expect(logged("redis is back")).toEqual([]);

  await server.client.replicaof("NO", "ONE");
  await eventually(() => logged("redis is back").length > 0, "Redis to be back", { timeoutMs: 10_000 });
  await eventually(() => !leader.isDegraded, "all to be written", { timeoutMs: 10_000 });
  expect(logged("redis is away")).toHaveLength(1);
  const other = new RecordFeed(startStore(server.url)).start();
  await eventually(() => other.told.includes("follow"));
  expect(other.ids).toEqual(idsFrom(1, 10));
});
