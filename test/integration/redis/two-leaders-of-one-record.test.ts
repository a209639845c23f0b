import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { draft, draftWithoutId, idsFrom, RecordFeed, startStore } from "../../support/record-feed.ts";
import { startRedis } from "../../support/redis.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

/** Starts a leader with its own network, and another instance that follows. */
async function startDivided() {
  const server = await startRedis();
  const network = await startTcpProxy(server.port);
  const old = new RecordFeed(startStore(`redis://127.0.0.1:${network.port}`)).start();
  await eventually(() => old.isLeading);
  const next = new RecordFeed(startStore(server.url)).start();
  await eventually(() => next.told.includes("follow"));
  return { server, network, old, next };
}

test.each(["cut", "silence"] as const)(
  "a leader that loses its network (%s) is replaced, writes nothing more, and follows without a repeated event",
  async (fault) => {
    const { server, network, old, next } = await startDivided();
    old.append(...idsFrom(1, 10));
    await eventually(() => next.live.length === 10);
    const [lease = ""] = await server.client.keys("*:lease");
    expect(await server.client.pttl(lease)).toBeLessThanOrEqual(1000);
    network[fault]();
    const from = performance.now();
    old.append(...idsFrom(11, 20));
    await eventually(() => next.isLeading, "another leader");
    // A lease that did not expire would never end.
    expect(performance.now() - from).toBeLessThan(3500);
    // Both backends sent the same events, like a backend that resumes.
    next.append(...idsFrom(11, 30));
    await eventually(() => next.live.length === 30);
    // The old leader delivers them half a second after they came, or earlier if its lease has expired.
    await eventually(() => old.live.length >= 20, "the old leader's events");
    expect(old.live).toEqual(idsFrom(1, 20));

    network.heal();
    await eventually(() => !old.isLeading, "the old leader to follow", { timeoutMs: 10_000 });
    await eventually(() => old.live.length === 30);
    next.append("31");
    await eventually(() => old.live.length === 31);
    expect(old.live).toEqual(idsFrom(1, 31));
    expect(old.isDegraded).toBe(false);
    const [events = ""] = await server.client.keys("*:events");
    expect(await server.client.xlen(events)).toBe(31);
  },
);

test("different events of two leaders at the same positions are told apart", async () => {
  const { network, old, next } = await startDivided();
  old.store.append([draftWithoutId("both have it")]);
  await eventually(() => next.live.length === 1);
  network.cut();
  old.store.append([draftWithoutId("only the old one has it")]);
  await eventually(() => next.isLeading && old.live.length === 2, "both to lead");
  next.store.append([draftWithoutId("only the new one has it")]);
  await eventually(() => next.live.length === 2);
  const [, lost = ""] = old.ids;
  expect(next.history.seqOf(lost)).toBeUndefined();

  network.heal();
  await eventually(() => old.records === 2, "a record in place of the other", { timeoutMs: 10_000 });
  expect(old.ids).toEqual(next.ids);
  expect(old.history.seqOf(lost)).toBeUndefined();
});

test("a leader that was stopped for longer than its lease finds out before it delivers an event", async () => {
  const { server, old, next } = await startDivided();
  old.append("1");
  await eventually(() => next.live.length === 1);
  // A leader that was stopped finds the newer token when it goes on; here the token is written directly. The lease is
  // longer than a machine stands still: after its end the old leader would get the next token.
  const [meta = ""] = await server.client.keys("*:meta");
  const token = Number(await server.client.hget(meta, "token"));
  await server.client.hset(meta, "token", token + 1);
  await server.client.set(meta.replace(/meta$/, "lease"), "somebody else", "PX", 1500);
  old.append("2");
  await eventually(() => !old.isLeading, "an end of its leadership");
  expect(old.live).toEqual(["1"]);
  await eventually(() => old.isLeading || next.isLeading, "a new leader");
  const leader = old.isLeading ? old : next;
  leader.store.append([draft("2"), draft("3")]);
  await eventually(() => old.live.length === 3 && next.live.length === 3);
  expect([old.live, next.live]).toEqual([idsFrom(1, 3), idsFrom(1, 3)]);
});

/** Returns the fields of an event in Redis. */
const fieldsOf = (id: string) =>
  Object.entries({ v: "1", i: id, n: id, t: String(Date.now()), b: `id: ${id}\ndata: ${id}\n\n` }).flat();

test("a follower notices events of a leader whose token is older, as after a failover between clocks that differ", async () => {
  const { server, old, next } = await startDivided();
  old.store.append([draftWithoutId("replicated")]);
  await eventually(() => next.live.length === 1);
  old.store.append([draftWithoutId("lost")]);
  await eventually(() => next.live.length === 2);
  const [lost = ""] = next.ids.slice(1);

  // The state of a replica that lacks the last event and the last lease, once another instance leads there.
  const [events = ""] = await server.client.keys("*:events");
  const meta = events.replace(/events$/, "meta");
  const token = Number(await server.client.hget(meta, "token")) - 60_000;
  await server.client
    .multi()
    .set(events.replace(/events$/, "lease"), "another instance", "PX", 60_000)
    .hset(meta, "token", token)
    .del(events)
    .xadd(events, `${token}-1`, ...fieldsOf("a"))
    .exec();
  for (const [name, feed] of Object.entries({ old, next })) {
    await eventually(() => feed.ids.join() === "a", `the event that Redis has, at the ${name} leader`);
    expect(feed.history.seqOf(lost)).toBeUndefined();
    expect(feed.records).toBe(2);
  }
  await server.client.xadd(events, `${token}-2`, ...fieldsOf("b"));
  await eventually(() => next.ids.join() === "a,b" && old.ids.join() === "a,b", "the next event");
});
