import { parseArgs } from "node:util";
import { KINDS, startRedisOf } from "./parts/redis-kinds.mjs";
import { Backend, Client, Instance, percentile, tally, until } from "./shared-instances.mjs";

/**
 * Kills the leading instance again and again while events flow: no client may lose an event or get it twice, and
 * another instance must send the backend request within 3 s, 99 times of 100.
 *
 *   npm run build && node test/soak/leader-kill.mjs --rounds 100 --rate 5000 --redis single
 *
 * With `--redis sentinel`, the master of Redis is killed together with the leader in every fifth round: events that
 * only these two had are lost, and each client must get a gap event. With `--redis cluster`, the slot of the stream is
 * moved to another master in every fifth round.
 *
 * The last line is the verdict as JSON; the exit code is 0 when it is good.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    scale: { type: "string", default: "1" },
    rate: { type: "string", default: "5000" },
    clients: { type: "string", default: "4" },
    redis: { type: "string", default: "single" },
  },
});
if (!KINDS.includes(values.redis)) throw new Error(`--redis is one of ${KINDS.join(", ")}`);
const rounds = Math.round(Number(values.rounds) * Number(values.scale));
/** A busy machine catches up late; the measurement does not depend on it. */
const PATIENCE_MS = 90_000;
const MOST_FAILOVER_MS = 3000;

const redis = await startRedisOf(values.redis, { appendOnly: false });
const backend = new Backend();
await backend.listen();
const instances = ["a", "b"].map((name) => new Instance(name, { backend: backend.url, redis: redis.config }));
for (const instance of instances) await instance.start();
const clients = Array.from({ length: Number(values.clients) }, (_, at) => new Client(instances, at));
const dialMs = [];
/** The same for rounds in which Redis fails too. */
const bothMs = [];
const silenceMs = [];
let verdict;
try {
  await until(() => backend.open === 1, "one backend request");
  backend.emit(Number(values.rate));
  // From the start of the stream on, so that the log line of the leader has been read.
  const areAllGoing = () =>
    clients.every(({ last }) => last > Math.max(0, backend.count - Number(values.rate)));
  for (let round = 1; round <= rounds; round++) {
    await until(
      () => areAllGoing() && backend.open === 1 && instances.some(({ openedAt }) => openedAt !== undefined),
      `all clients to be up to date in round ${round}`,
      PATIENCE_MS,
    );
    const leader = instances.toSorted((a, b) => (b.openedAt ?? 0) - (a.openedAt ?? 0))[0];
    const isFifth = round % 5 === 0;
    const master = isFifth && values.redis === "sentinel" ? await redis.primary() : undefined;
    for (const client of clients) client.watch();
    const killedAt = performance.now();
    await Promise.all([leader.kill(), master?.kill()]);
    if (isFifth && values.redis === "cluster") await redis.move();
    await until(() => backend.dials.at(-1) > killedAt, "another backend request", 20_000);
    (isFifth && values.redis !== "single" ? bothMs : dialMs).push(backend.dials.at(-1) - killedAt);
    await Promise.all([leader.start(), master?.start()]);
    if (master !== undefined) await redis.settle();
    await until(areAllGoing, "all clients to be up to date", PATIENCE_MS);
    silenceMs.push(Math.max(...clients.map(({ longestSilenceMs }) => longestSilenceMs)));
    if (round % 10 === 0) console.error(`round ${round}: ${JSON.stringify(tally(clients))}`);
  }
  backend.stop();
  await until(
    () => clients.every(({ last }) => last === backend.count),
    "the last event everywhere",
    PATIENCE_MS,
  );
  const counted = tally(clients);
  const failover = {
    p50: percentile(dialMs, 0.5),
    p99: percentile(dialMs, 0.99),
    max: percentile(dialMs, 1),
  };
  const silence = { p50: percentile(silenceMs, 0.5), p99: percentile(silenceMs, 0.99) };
  const exits = instances.flatMap((instance) => instance.exits);
  const gaps = values.redis === "sentinel" ? 0 : counted.gaps;
  const isGood =
    counted.lost + counted.duplicated + gaps + exits.length === 0 && failover.p99 <= MOST_FAILOVER_MS;
  verdict = {
    isGood,
    redis: values.redis,
    rounds,
    rate: Number(values.rate),
    ...counted,
    failoverMs: failover,
    ...(bothMs.length > 0 && { withRedisMs: { p50: percentile(bothMs, 0.5), max: percentile(bothMs, 1) } }),
    silenceMs: silence,
    exits,
  };
} catch (error) {
  const last = instances.map(({ name, log }) => `${name}:\n${log.slice(-15).join("\n")}`).join("\n");
  console.error(last);
  verdict = { isGood: false, rounds: dialMs.length, error: String(error), ...tally(clients) };
} finally {
  for (const client of clients) client.close();
  backend.close();
  for (const instance of instances) await instance.close();
  await redis.close();
}
console.log(JSON.stringify(verdict));
process.exitCode = verdict.isGood ? 0 : 1;
