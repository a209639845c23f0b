import fc from "fast-check";
import { expect, test } from "vitest";
import { type Backend, startBackend } from "../support/backend.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayFixture, startGateway } from "../support/gateway.ts";
import { type OddReply, startOddRedis } from "../support/odd-redis.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { event, QUICK, streaming } from "../support/shared.ts";
import { openStream, type StreamClient } from "../support/sse-client.ts";

/** A newer version, a proxy, or anyone with the password may write data to Redis that this version does not know. */

const INJECTED = "injected";

/** The number of runs, each with an instance and its Redis; `RUNS=5000` for more. */
const RUNS = Number(process.env["RUNS"] ?? 300);

const startEvents = () => startBackend(streaming(event("from the backend")));

const startSharing = (redis: string, { url }: Backend, times: Readonly<Record<string, string>> = {}) =>
  startGateway({
    server: { redis: { url: redis, lease: "500ms", timeout: "100ms", ...times }, admin: 0 },
    routes: {
      main: {
        match: { path: "/*" },
        upstream: { backends: [{ url }], connectTimeout: "500ms", responseHeaderTimeout: "1s" },
        shared: QUICK,
      },
    },
  });

const subscribe = ({ port }: GatewayFixture, lastEventId = ""): StreamClient =>
  openStream(port, {
    headers: {
      Accept: "text/event-stream",
      Host: "service.example",
      ...(lastEventId !== "" && { "Last-Event-ID": lastEventId }),
    },
  });

/** Matches a line of a stream that is ours or part of a stored event. */
const LINE =
  /^(?:|:.*|retry: \d+|id: [!-~]+|data: (?:from the backend|stored)|event: sluice\.gap|data: \{.*\})$/;

async function expectAnswer(client: StreamClient, about: string): Promise<void> {
  const { status } = await client.opened();
  expect([200, 204, 301, 429, 502, 503, 504], about).toContain(status);
  if (status !== 200) return client.leave();
  await eventually(() => client.text.length > 0, `something of the stream ${about}`);
  for (const line of client.text.split(/\r\n|\r|\n/).slice(0, -1)) expect(line, about).toMatch(LINE);
  expect(client.text + JSON.stringify(client.head), about).not.toContain(`\n${INJECTED}`);
  client.leave();
}

const faultsOf = ({ log }: GatewayFixture) => log.filter((line) => line["code"] === "internal_error");

const piece = fc.constantFrom(
  ...[
    "0",
    "1",
    "-1",
    "17",
    "1-1",
    "0-0",
    "5-5",
    "99999999999999999999-1",
    "ok",
    "other",
    "fenced",
    "OK",
    "epoch",
  ],
  ...[
    `\n${INJECTED}: 1\n\n`,
    `\r\n${INJECTED}: 1\r\n`,
    "\0",
    "\n",
    '{"is":"open","retryMs":"',
    '{"is":"failed"}',
  ],
  ...['{"is":"open"}', '{"is":"later"}', "data: stored\n\n", "i", "n", "t", "b"],
);
const odd = fc.letrec<{ reply: OddReply }>((tie) => ({
  reply: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.array(piece, { maxLength: 2 }).map((pieces) => pieces.join("")),
    fc.constantFrom<OddReply>(null, { status: "OK" }, { status: "QUEUED" }, { error: "ERR odd" }),
    fc.integer({ min: -2, max: 100 }),
    fc.array(tie("reply"), { maxLength: 6 }),
  ),
})).reply;
const lease = fc.tuple(
  fc.oneof({ arbitrary: fc.constantFrom(0, 1), weight: 5 }, odd),
  fc.oneof(fc.constantFrom("17", "0"), odd),
  fc.oneof({ arbitrary: fc.constant("epoch"), weight: 3 }, odd),
  odd,
  fc.oneof(fc.integer({ min: -2, max: 1000 }), odd),
  fc.oneof({ arbitrary: fc.constantFrom("0-0", "16-1"), weight: 3 }, odd),
);
const entry = fc.tuple(
  fc.oneof(fc.constant("16-1"), odd),
  fc.oneof(
    odd,
    fc
      .tuple(piece, piece, piece, piece)
      .map(([id, backendId, at, block]) => [...["i", id, "n", backendId, "t", at, "b", block]]),
  ),
);
const entries = fc.oneof(fc.array(fc.oneof(entry, odd), { maxLength: 3 }), odd);
/** The replies of such a Redis to each command, again and again. */
const oddRedis = fc.record({
  EVALSHA: fc.oneof({ arbitrary: lease, weight: 4 }, odd),
  XRANGE: entries,
  XREVRANGE: fc.oneof(fc.constant([]), entries),
  XREAD: fc.oneof(fc.array(fc.tuple(piece, entries), { maxLength: 2 }), odd),
  CLIENT: odd,
  ZRANGE: odd,
  INFO: fc.oneof({ arbitrary: fc.constant("loading:0"), weight: 6 }, odd),
});

test("property: with any replies of Redis, the instance goes on, and its clients get responses", async () => {
  const seed = Math.trunc(Math.random() * 2 ** 31);
  const backend = await startEvents();
  const kinds = fc.sample(oddRedis, { seed, numRuns: RUNS });
  for (let from = 0; from < kinds.length; from += 20) {
    await Promise.all(
      kinds.slice(from, from + 20).map(async (answers) => {
        const about = `seed ${seed}: ${JSON.stringify(answers)}`;
        const redis = await startOddRedis((name) => answers[name as keyof typeof answers] ?? "OK");
        const gateway = await startSharing(redis.url, backend);
        await Promise.all([
          expectAnswer(subscribe(gateway), about),
          expectAnswer(subscribe(gateway, "gone"), about),
        ]);
        await expectAnswer(subscribe(gateway), about);
        expect(faultsOf(gateway), about).toEqual([]);
        await gateway.close();
      }),
    );
  }
});

test.each([
  ["bytes that are not RESP", { raw: "HTTP/1.1 400 Bad Request\r\n\r\n" }],
  ["one reply too many", { raw: ":1\r\n:2\r\n:3\r\n" }],
  ["a length that never ends", { raw: "$1000000\r\nx" }],
  ["a nested array of a million", { raw: "*1\r\n".repeat(10_000) }],
] as const)(
  "a Redis that replies with %s counts as away, and clients are served without it",
  async (_, reply) => {
    const redis = await startOddRedis((name) => (name === "INFO" ? "loading:0" : reply));
    const gateway = await startSharing(redis.url, await startEvents());
    await expectAnswer(subscribe(gateway), String(_));
    expect(faultsOf(gateway)).toEqual([]);
  },
);

/** Starts an instance that follows a leader of another version, which has written to Redis. */
async function startLed(write: (redis: RedisServer, meta: string) => Promise<unknown>) {
  const redis = await startRedis();
  const backend = await startEvents();
  const first = await startSharing(redis.url, backend, { lease: "10s", timeout: "1s" });
  const client = subscribe(first);
  await client.received("from the backend");
  await first.close();
  const [meta = ""] = await redis.client.keys("*:meta");
  const token = Number(await redis.client.hget(meta, "token")) + 10;
  await redis.client.set(meta.replace(/meta$/, "lease"), "other", "PX", 60_000);
  await redis.client.hset(meta, "token", String(token), "state", '{"is":"open"}');
  await write(redis, meta);
  return { redis, meta, gateway: await startSharing(redis.url, backend) };
}

const eventsOf = (meta: string) => meta.replace(/meta$/, "events");
const leaseOf = (meta: string) => meta.replace(/meta$/, "lease");
const add = (redis: RedisServer, meta: string, id: string, fields: Readonly<Record<string, string>>) =>
  redis.client.xadd(eventsOf(meta), id, ...Object.entries(fields).flat());
const SOUND = { v: "1", i: "s", n: "s", t: "1", b: "data: stored\n\n" };

test.each<[string, (redis: RedisServer, meta: string) => Promise<unknown>, number | readonly number[]]>([
  // On a slow machine the previous instance may still write its state afterwards.
  ["no state", ({ client }, meta) => client.hdel(meta, "state"), [504, 200]],
  ["no epoch", ({ client }, meta) => client.hdel(meta, "epoch"), 200],
  ["an epoch that ends a line", ({ client }, meta) => client.hset(meta, "epoch", `e\n${INJECTED}`), 200],
  ["a token that is not a number", ({ client }, meta) => client.hset(meta, "token", "many"), 200],
  ["a token beyond 2^53", ({ client }, meta) => client.hset(meta, "token", "99999999999999999"), 200],
  ["a state of a newer version", ({ client }, meta) => client.hset(meta, "state", '{"is":"paused"}'), 503],
  [
    "no state, and a lease that never runs out",
    async ({ client }, meta) => {
      await client.hdel(meta, "state");
      await client.persist(leaseOf(meta));
    },
    200,
  ],
  [
    "keys of another type",
    async ({ client }, meta) => {
      await client.del(eventsOf(meta));
      await client.set(eventsOf(meta), "text");
    },
    200,
  ],
  [
    "an event id that ends a line",
    (redis, meta) => add(redis, meta, "9999999999999-2", { ...SOUND, i: `s\n${INJECTED}` }),
    200,
  ],
  [
    "an event that is two",
    (redis, meta) => add(redis, meta, "9999999999999-2", { ...SOUND, b: `data: stored\n\n${INJECTED}\n\n` }),
    200,
  ],
  [
    "an event that does not end",
    (redis, meta) => add(redis, meta, "9999999999999-2", { ...SOUND, b: "data: stored\n" }),
    200,
  ],
  [
    "an entry of a newer version",
    (redis, meta) => add(redis, meta, "9999999999999-2", { v: "2", z: "1" }),
    200,
  ],
  [
    "an entry whose id no number holds",
    (redis, meta) => add(redis, meta, "18446744073709551615-1", SOUND),
    200,
  ],
])(
  "a record with %s: an instance that follows it goes on, and serves its clients",
  async (about, write, status) => {
    const { gateway, redis, meta } = await startLed(write);
    const [late, back] = [subscribe(gateway), subscribe(gateway, "gone")];
    expect([status].flat(), about).toContain((await late.opened()).status);
    await expectAnswer(back, about);
    // This instance may lead by now; the other goes on writing.
    await write(redis, meta).catch(() => {});
    await expectAnswer(subscribe(gateway), about);
    expect(late.text).not.toContain(`\n${INJECTED}`);
    expect(faultsOf(gateway)).toEqual([]);
  },
);

test("invalid data is counted by kind, and logged once", async () => {
  const { gateway, redis, meta } = await startLed(({ client }, key) =>
    client.hset(key, "state", '{"is":"failed","status":503,"code":"quota","fields":[],"retryAt":0}'),
  );
  const client = subscribe(gateway);
  expect((await client.opened()).status).toBe(503);
  await client.ended();
  expect(client.text).toContain("The backend refused the stream.");
  for (const code of ["quota_2", "quota_3"]) {
    await redis.client.hset(meta, "state", `{"is":"failed","status":503,"code":"${code}"}`);
    await subscribe(gateway).opened();
  }
  const metrics = async () => (await fetch(`${gateway.adminUrl}/metrics`)).text();
  await eventually(
    async () => /sluice_redis_invalid_total\{kind="state"\} [2-9]/.test(await metrics()),
    "a count",
  );
  expect(await metrics()).toContain('sluice_redis_invalid_total{kind="lease"} 0');
  expect(await metrics()).toContain("sluice_internal_errors_total 0");
  expect(gateway.log.filter(({ msg }) => msg.startsWith("invalid data in redis"))).toHaveLength(1);
});
