import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { Matrix } from "./matrix/matrix.mjs";
import { checkMemory } from "./matrix/memory.mjs";
import { narrow } from "./matrix/narrow.mjs";
import { checkConnections } from "./matrix/places.mjs";
import { conclude } from "./parts/command-line.mjs";

/**
 * 200,000 connections to gateways of one process and of two workers: every transport, kind of client and kind of
 * route, and faults of client, backend and Redis at any byte. After each round the gateways must be as before: no
 * process died, no resource is held, every request has its log line and every line its count.
 *
 *   npm run build && node test/soak/matrix.mjs --scale 1 --seed 1
 *   node test/soak/matrix.mjs --seed 1 --cases 17,99-120 --repeat 5     only these cases
 *   node test/soak/matrix.mjs --connections 5000 --seconds 50           starts no round later than that
 *   node test/soak/matrix.mjs --node /path/to/node                      the gateways on another Node
 *   node test/soak/matrix.mjs --narrow                                  searches the fewest cases of each violation
 */
const CONNECTIONS = 200_000;
const OF_ROUND = 2_500;
/** Heap objects are counted only every so many rounds, because it takes long. */
const DEEP_EVERY = 8;
/** The maximum number of violations of one kind. */
const MOST_VIOLATIONS = 40;

const { values } = parseArgs({
  options: {
    scale: { type: "string", default: "1" },
    connections: { type: "string", default: String(CONNECTIONS) },
    seconds: { type: "string", default: "Infinity" },
    seed: { type: "string", default: "1" },
    round: { type: "string", default: String(OF_ROUND) },
    cases: { type: "string" },
    repeat: { type: "string", default: "1" },
    gateways: { type: "string", default: "one,redis,two" },
    node: { type: "string", default: process.execPath },
    narrow: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const setup = { seed, node: values.node, gateways: values.gateways.split(",") };
const startedAt = performance.now();
const elapsed = () => Math.round((performance.now() - startedAt) / 1000);

/** Parses `17,99-120` into numbers. */
const numbersOf = (text) =>
  text.split(",").flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });

function roundsOf() {
  if (values.cases !== undefined) {
    const numbers = numbersOf(values.cases);
    return Array.from({ length: Number(values.repeat) }, () => numbers);
  }
  const count = Math.round(Number(values.connections) * Number(values.scale));
  const size = Number(values.round);
  return Array.from({ length: Math.ceil(count / size) }, (_, at) =>
    Array.from({ length: Math.min(size, count - at * size) }, (_, place) => at * size + place),
  );
}

function report(violation, indices) {
  const { gateway, what, cases, described } = violation;
  const these = cases.length > 0 ? cases.join(",") : `${indices[0]}-${indices.at(-1)}`;
  console.log(`\n${gateway}: ${what}`);
  for (const line of described.slice(0, 12)) console.log(`   ${line}`);
  console.log(`   node test/soak/matrix.mjs --seed ${seed} --gateways ${gateway} --cases ${these}`);
}

const loop = monitorEventLoopDelay({ resolution: 10 });
loop.enable();
const violations = [];
const rounds = roundsOf();
let connections = 0;
const matrix = new Matrix(setup);
await matrix.start();
for (const [at, indices] of rounds.entries()) {
  const broken = await matrix.round(indices, at % DEEP_EVERY === 0 || at === rounds.length - 1);
  connections += indices.length;
  for (const violation of broken) {
    report(violation, indices);
    violations.push({ ...violation, round: at, indices });
  }
  if (at % 10 === 0)
    console.log(`round ${at + 1} of ${rounds.length}, ${connections} connections, ${elapsed()} s`);
  if (violations.length > MOST_VIOLATIONS || elapsed() > Number(values.seconds)) break;
}
const connectionPlaces = await Promise.all(
  matrix.gateways.map(async (gateway) => [gateway.name, await checkConnections(gateway)]),
);
for (const [gateway, broken] of connectionPlaces)
  for (const what of broken) violations.push({ gateway, what, cases: [], described: [], indices: [] });
const memory = checkMemory(matrix.memory);
await matrix.stop();
const found = values.narrow ? await narrow(violations, setup) : [];
conclude({
  seed,
  connections,
  seconds: elapsed(),
  /** The longest stall of the peers; timeouts of a gateway may have expired meanwhile. */
  stoodStillMs: Math.round(loop.max / 1e6),
  memory: memory.sizes,
  violations: [...violations.map(({ gateway, what, round }) => ({ gateway, round, what })), ...memory.broken],
  ...(values.narrow && { found }),
  isGood: violations.length + memory.broken.length === 0,
});
