import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { startRedis } from "../../support/redis.ts";
import { startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";

/** Starts a follower that cannot reach Redis and lacks events that were delivered elsewhere meanwhile. */
async function startBehind(timeout: string): Promise<{ follower: RecordFeed; network: TcpProxy }> {
  const server = await startRedis();
  const network = await startTcpProxy(server.port);
  const leader = new RecordFeed(startStore(server.url)).start();
  await eventually(() => leader.isLeading);
  const url = `redis://127.0.0.1:${network.port}`;
  const follower = new RecordFeed(startStore(url, { timeout, lease: "5s" })).start();
  await eventually(() => follower.told.includes("follow"));
  network.cut();
  leader.append(...idsFrom(1, 5));
  await eventually(() => leader.live.length === 5);
  return { follower, network };
}

test("a client's last event is looked up again when Redis is back", async () => {
  const { follower, network } = await startBehind("8s");
  const caughtUp = follower.store.catchUp();
  network.heal();
  await caughtUp;
  expect(follower.ids).toEqual(idsFrom(1, 5));
});

test("a client waits for Redis no longer than its timeout", async () => {
  const { follower } = await startBehind("300ms");
  const from = performance.now();
  await follower.store.catchUp();
  expect(performance.now() - from).toBeGreaterThan(250);
  // Less than the lease of 5 s.
  expect(performance.now() - from).toBeLessThan(3500);
  expect(follower.ids).toEqual([]);
});
