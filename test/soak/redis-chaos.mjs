import { parseArgs } from "node:util";
import { KINDS, startRedisOf } from "./parts/redis-kinds.mjs";
import { redisFaults } from "./redis-faults.mjs";
import { Backend, Client, Instance, Network, tally, until } from "./shared-instances.mjs";

/**
 * Breaks the Redis of two instances in many ways, again and again, while events flow and clients reconnect: no
 * instance may exit, and no client may lose an event or get it twice without a gap event.
 *
 *   npm run build && node test/soak/redis-chaos.mjs --rounds 100 --rate 500 --redis single
 *
 * With `--redis sentinel` or `cluster`, the faults concern the server that has the stream.
 *
 * The last line is the verdict as JSON; the exit code is 0 when it is good.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "100" },
    scale: { type: "string", default: "1" },
    rate: { type: "string", default: "500" },
    clients: { type: "string", default: "6" },
    only: { type: "string" },
    redis: { type: "string", default: "single" },
  },
});
if (!KINDS.includes(values.redis)) throw new Error(`--redis is one of ${KINDS.join(", ")}`);
const rounds = Math.round(Number(values.rounds) * Number(values.scale));
/** A busy machine catches up late; the measurement does not depend on it. */
const PATIENCE_MS = 90_000;
const rate = Number(values.rate);

const redis = await startRedisOf(values.redis, { appendOnly: true });
const isSingle = values.redis === "single";
const network = new Network();
const backend = new Backend();
await network.listen(redis.servers[0].port);
await backend.listen();
// One instance reaches a single Redis over a simulated network that can fail; other kinds name their own addresses.
const instances = [
  new Instance("a", { backend: backend.url, redis: isSingle ? network.url : redis.config }),
  new Instance("b", { backend: backend.url, redis: redis.config }),
];
for (const instance of instances) await instance.start();
const clients = Array.from({ length: Number(values.clients) }, (_, at) => new Client(instances, at));

const FAULTS = redisFaults({ kind: values.redis, setup: redis, network, instances }, Math.random);

const names = values.only === undefined ? Object.keys(FAULTS) : [values.only];
const done = {};
/** The number of gap events by fault. */
const told = {};
let gapsBefore = 0;
let verdict;
try {
  await until(() => backend.open >= 1, "a backend request");
  backend.emit(rate);
  const areAllGoing = () => clients.every(({ last }) => last > backend.count - rate);
  for (let round = 0; round < rounds; round++) {
    const name = names[round % names.length];
    await FAULTS[name](await redis.primary());
    await redis.settle();
    done[name] = (done[name] ?? 0) + 1;
    // Some clients reconnect meanwhile, each to the other instance.
    clients[round % clients.length].leave();
    await until(areAllGoing, `all clients to be up to date after ${name} in round ${round}`, PATIENCE_MS);
    await until(() => backend.open === 1, `one backend request after ${name} in round ${round}`, PATIENCE_MS);
    const { gaps } = tally(clients);
    told[name] = (told[name] ?? 0) + gaps - gapsBefore;
    gapsBefore = gaps;
    if (round % 10 === 9) console.error(`round ${round + 1}: ${JSON.stringify(tally(clients))}`);
  }
  backend.stop();
  await until(
    () => clients.every(({ last }) => last === backend.count),
    "the last event everywhere",
    PATIENCE_MS,
  );
  const counted = tally(clients);
  const exits = instances.flatMap((instance) => instance.exits);
  const isGood = counted.lost + counted.duplicated + exits.length === 0;
  verdict = { isGood, redis: values.redis, rounds, rate, ...counted, exits, done, gapsAfter: told };
} catch (error) {
  const last = instances.map(({ name, log }) => `${name}:\n${log.slice(-25).join("\n")}`).join("\n");
  console.error(last);
  verdict = {
    isGood: false,
    error: String(error),
    ...tally(clients),
    done,
    gapsAfter: told,
    open: backend.open,
  };
} finally {
  for (const client of clients) client.close();
  backend.close();
  for (const instance of instances) await instance.close();
  network.close();
  await redis.close();
}
console.log(JSON.stringify(verdict));
process.exitCode = verdict.isGood ? 0 : 1;
