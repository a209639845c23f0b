import { rm } from "node:fs/promises";
import { pino } from "pino";
import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { type RedisServer, startRedis } from "../../support/redis.ts";

/** Events wait for Redis no longer than `redis.timeout`, which is 500 ms here. */
const SOON = { timeoutMs: 5_000 };
const LATER = { timeoutMs: 20_000 };

/** Closes every connection except the test's own. */
const cut = ({ client }: RedisServer) => client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");

interface Refusal {
  readonly begin: (redis: RedisServer) => Promise<unknown>;
  /** The error of Redis, as in the log. */
  readonly fault: RegExp;
  readonly end: (redis: RedisServer) => Promise<unknown>;
}

const refusals: Readonly<Record<string, Refusal>> = {
  "MISCONF: it cannot write to its disk, and refuses writes": {
    begin: async ({ client }) => {
      const [, directory = ""] = (await client.config("GET", "dir")) as string[];
      await client.config("SET", "save", "3600 1");
      await client.set("a change", "to be saved");
      await rm(directory, { recursive: true });
      await client.bgsave();
      await eventually(async () => (await client.info("persistence")).includes("rdb_last_bgsave_status:err"));
    },
    fault: /MISCONF/,
    end: ({ client }) => client.config("SET", "stop-writes-on-bgsave-error", "no"),
  },
  "BUSY: it runs a long script": {
    begin: async (redis) => {
      await redis.client.config("SET", "busy-reply-threshold", "50");
      const other = redis.connect();
      void other.eval("while true do end", 0).catch(() => other.disconnect());
      const answer = () => redis.client.ping().catch(({ message }: Error) => message);
      await eventually(async () => (await answer()).startsWith("BUSY"), "a Redis that is busy");
    },
    fault: /BUSY|no answer/,
    end: ({ client }) => client.call("SCRIPT", "KILL"),
  },
  "maxclients: it accepts no connection": {
    begin: async (redis) => {
      await cut(redis);
      // The gateway may have found Redis again already.
      await redis.client.config("SET", "maxclients", "1");
      await cut(redis);
    },
    fault: /max number of clients|connection/i,
    end: ({ client }) => client.config("SET", "maxclients", "100"),
  },
  "AUTH: its password has changed": {
    begin: async (redis) => {
      await redis.client.config("SET", "requirepass", "another");
      await cut(redis);
    },
    fault: /NOAUTH|Authentication/i,
    end: ({ client }) => client.config("SET", "requirepass", ""),
  },
};

test.each(Object.keys(refusals))(
  "%s: events are delivered, the fault is logged, and the events are written later",
  async (name) => {
    const { begin, fault, end } = refusals[name] as Refusal;
    const redis = await startRedis();
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
    const store = startStore(redis.url, {}, log);
    const leader = new RecordFeed(store).start();
    await eventually(() => leader.isLeading);
    leader.append(...idsFrom(1, 10));
    await eventually(() => leader.live.length === 10);

    await begin(redis);
    leader.append(...idsFrom(11, 20));
    await eventually(() => leader.live.length === 20, "the events, without Redis", SOON);
    await eventually(() => leader.isDegraded && store.health.degraded === 1, "the degradation", SOON);
    leader.append(...idsFrom(21, 30));
    expect(leader.live).toEqual(idsFrom(1, 30));
    await eventually(() => lines.some((line) => fault.test(line)), `a line about ${fault}`, SOON);

    await end(redis);
    await eventually(() => !leader.isDegraded, "an end of the degradation", LATER);
    expect(store.health).toMatchObject({ isReady: true, degraded: 0 });
    const other = new RecordFeed(startStore(redis.url)).start();
    await eventually(() => other.told.includes("follow"), "a follower");
    expect(other.ids).toEqual(idsFrom(1, 30));
    expect(leader.live).toEqual(idsFrom(1, 30));
    expect(leader.records).toBe(1);
  },
  40_000,
);

test("LOADING: a restarted Redis is away while it loads its data, and no event is lost", async () => {
  const redis = await startRedis({ appendOnly: true });
  const leader = new RecordFeed(startStore(redis.url)).start();
  await eventually(() => leader.isLeading);
  leader.append(...idsFrom(1, 10));
  await eventually(() => leader.live.length === 10);
  for (let key = 0; key < 80; key += 1) await redis.client.set(`other ${key}`, "x".repeat(2_000));
  // Redis replies between two keys of a snapshot that it loads, at 50 ms each.
  await redis.client.bgrewriteaof();
  const isSaved = async () => (await redis.client.info("persistence")).includes("aof_rewrite_in_progress:0");
  await eventually(isSaved, "a snapshot");
  const options = ["--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024"];
  await redis.kill();
  const starting = redis.start(options);
  await eventually(() => redis.isLoading(), "a Redis that loads", LATER);
  leader.append(...idsFrom(11, 20));
  await eventually(() => leader.live.length === 20, "the events, without Redis", SOON);
  expect(leader.isDegraded).toBe(true);
  expect(await redis.isLoading()).toBe(true);
  await starting;
  await eventually(() => !leader.isDegraded, "an end of the degradation", LATER);
  const other = new RecordFeed(startStore(redis.url)).start();
  await eventually(() => other.told.includes("follow"), "a follower");
  expect(other.ids).toEqual(idsFrom(1, 20));
  expect(leader.records).toBe(1);
});

test("instances whose reads exceed Redis's output buffer limit are disconnected, and miss no event", async () => {
  const redis = await startRedis();
  await redis.client.config("SET", "client-output-buffer-limit", "normal 64kb 32kb 1");
  const bounds = { events: 1000, bytes: 64 * 1024 ** 2, ageMs: 600_000 };
  const leader = new RecordFeed(startStore(redis.url), { bounds }).start();
  await eventually(() => leader.isLeading);
  const follower = new RecordFeed(startStore(redis.url), { bounds }).start();
  await eventually(() => follower.told.includes("follow"));
  const block = (id: string) => Buffer.from(`id: ${id}\ndata: ${"x".repeat(20_000)}\n\n`);
  const drafts = idsFrom(1, 50).map((id) => ({ id, showsId: false, backendId: id, block: block(id) }));
  for (let at = 0; at < drafts.length; at += 10) leader.store.append(drafts.slice(at, at + 10));
  await eventually(() => leader.live.length === 50, "the leader's events", LATER);
  await eventually(() => follower.live.length === 50, "the follower's events", LATER);
  expect(follower.live).toEqual(idsFrom(1, 50));
  expect(follower.records).toBe(1);
  const late = new RecordFeed(startStore(redis.url), { bounds }).start();
  await eventually(() => late.ids.length === 50, "the events at another instance", LATER);
  expect(late.ids).toEqual(idsFrom(1, 50));
});
