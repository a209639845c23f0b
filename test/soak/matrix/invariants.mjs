import { setTimeout as sleep } from "node:timers/promises";
import { checkPlaces } from "./places.mjs";

/** The invariants of a gateway at rest: each check returns the violations as texts. */

/**
 * The longest time until a gateway is at rest: on a machine with ten other jobs, connections to Redis are dropped and
 * made again for some seconds. It is shorter than each timeout of a minute that would hide a leak.
 */
const REST_MS = 30_000;
/** The time between two looks; it grows, because a look keeps the process of all peers busy. */
const POLL_MS = 150;
const POLL_FACTOR = 1.3;
/** The last exchange of a long-lived object, such as a server, may live until the next exchange. */
const FEW_EXCHANGES = 4;

/**
 * The files, timers and sockets of a gateway at its first rest, to compare later rests with. Its `redisConnections` may
 * come late on a busy machine, and would later look like leaks.
 */
export async function stateOf(gateway, peers, redisConnections) {
  const deadline = performance.now() + REST_MS;
  let files = gateway.files(peers);
  while ((files["tcp Redis open"] ?? 0) < redisConnections && performance.now() < deadline) {
    await sleep(POLL_MS);
    files = gateway.files(peers);
  }
  return { peers, files, inside: await gateway.inside() };
}

/** Waits for rest; resolves with the remaining violations. */
export async function checkRest(gateway, { baseline, redis, seen, isDeep = false }) {
  const deadline = performance.now() + REST_MS;
  for (let pollMs = POLL_MS; ; pollMs *= POLL_FACTOR) {
    gateway.backend.endIdle();
    const broken = await atRest(gateway, baseline, redis, seen);
    if (broken.length === 0 && isDeep) broken.push(...(await checkInside(gateway, baseline, true)));
    if (broken.length === 0 || !gateway.isSame) return broken;
    if (performance.now() > deadline) return broken;
    await sleep(pollMs);
  }
}

/** Cheap checks first: the others need them. */
async function atRest(gateway, baseline, redis, seen) {
  const cheap = [
    ...checkBackend(gateway),
    ...(await checkStreams(gateway)),
    ...checkFiles(gateway, baseline),
  ];
  if (cheap.length > 0) return cheap;
  const counts = [
    ...(await checkMetrics(gateway)),
    ...checkLines(gateway, seen),
    ...(await checkRedis(gateway, redis)),
  ];
  if (counts.length > 0) return counts;
  return baseline === undefined ? [] : await checkInside(gateway, baseline);
}

/** Checks that the process runs with its original workers. */
export function checkLife(gateway) {
  if (!gateway.isUp) return [`life: the process ended (${JSON.stringify(gateway.exit)})`];
  return gateway.isSame ? [] : ["life: a worker was replaced"];
}

/** Checks that no process is busy forever. */
export async function checkAnswer(gateway) {
  if (!gateway.isSame) return [];
  const isThere = (await gateway.inside()) !== undefined;
  return isThere || !gateway.isSame ? [] : ["life: a process answers nothing any more"];
}

/** Checks that the log has no line that a gateway should not write. */
export function checkLog({ log }) {
  if (log.faultCount === 0) return [];
  return [`log: ${log.faultCount} lines of faults, such as ${[...new Set(log.faults)].join("\n      ")}`];
}

function checkBackend({ backend }) {
  const busy = backend.busy();
  if (busy.length > 0)
    return [
      `backend connections: ${busy.length} are read without a client, such as ${busy.slice(0, 5).join(", ")}`,
    ];
  return backend.open > 0
    ? [`backend connections: ${backend.open} that the backend has ended stay open`]
    : [];
}

async function checkStreams(gateway) {
  const metrics = await gateway.metrics();
  const listed = await gateway.listed();
  if (metrics === undefined || listed === undefined) return ["admin: no answer"];
  const broken = [];
  for (const [name, value] of metrics) {
    if (/^sluice_(?:streams_active|shared_subscribers)\{/.test(name) && value !== 0)
      broken.push(`streams: ${name} ${value}`);
    if (/^sluice_internal_errors_total/.test(name) && value !== 0) broken.push(`log: ${name} ${value}`);
  }
  if (listed.total !== 0) {
    const paths = listed.streams.map(({ id }) => gateway.log.opened.get(id) ?? id);
    broken.push(
      `streams: ${listed.total} in the admin listener's list, such as ${paths.slice(0, 5).join(", ")}`,
    );
  }
  return broken;
}

/** Checks that no kind of open file has more than at the first rest. */
function checkFiles(gateway, baseline) {
  if (baseline === undefined) return [];
  const now = gateway.files(baseline.peers);
  const kinds = new Set([...Object.keys(now), ...Object.keys(baseline.files)]);
  const broken = [];
  for (const kind of kinds) {
    const [count, most] = [now[kind] ?? 0, baseline.files[kind] ?? 0];
    if (count > most) broken.push(`files: ${count} of ${kind}, before ${most}`);
  }
  return broken;
}

/** Checks that each request line is counted under its route and status. */
async function checkMetrics(gateway) {
  return compareCounts(gateway.log.counts, await gateway.metrics());
}

function compareCounts(lines, metrics) {
  if (metrics === undefined) return ["admin: no answer"];
  const counted = new Map();
  for (const [name, value] of metrics) {
    const [, route, status] = /^sluice_requests_total\{route="([^"]*)",status="([^"]*)"\}$/.exec(name) ?? [];
    if (status !== undefined && value > 0) counted.set(`${route}|${status}`, value);
  }
  const names = [...new Set([...counted.keys(), ...lines.keys()])];
  return names
    .filter((name) => counted.get(name) !== lines.get(name))
    .map((name) => `metrics: ${name}: ${lines.get(name) ?? 0} lines, ${counted.get(name) ?? 0} counted`);
}

/** Checks that each request at a backend has exactly one line. */
function checkLines({ log }, seen) {
  const broken = [];
  const twice = [...log.ids].filter(([, count]) => count > 1);
  if (twice.length > 0)
    broken.push(`lines: ${twice.length} requests have more than one, such as ${twice[0]}`);
  const missing = seen.filter(({ id, route }) => route !== "shared" && !log.ids.has(id));
  if (missing.length > 0) {
    const some = missing.slice(0, 5).map(({ line, id }) => `${JSON.stringify(line)} (${id})`);
    broken.push(`lines: ${missing.length} requests reached the backend and have none: ${some.join(", ")}`);
  }
  return broken;
}

async function checkRedis({ name }, redis) {
  if (name === "one") return [];
  const { leases, eternal } = await redis.left();
  const broken = [];
  if (leases.length > 0) broken.push(`subscriptions: ${leases.length} leases are held, such as ${leases[0]}`);
  if (eternal.length > 0) broken.push(`Redis: ${eternal.length} keys never expire, such as ${eternal[0]}`);
  return broken;
}

async function checkInside(gateway, { inside: before }, isDeep = false) {
  const now = await gateway.inside(isDeep);
  if (now === undefined || before === undefined) return ["inside: no answer"];
  const broken = [];
  for (const [at, { active, exchanges }] of now.entries()) {
    const was = before[at];
    for (const [kind, count] of Object.entries(active)) {
      const most = was.active[kind] ?? 0;
      if (count > most) broken.push(`resources: process ${at} has ${count} ${kind}, before ${most}`);
    }
    if (exchanges > FEW_EXCHANGES) broken.push(`exchanges: process ${at} holds ${exchanges} that are over`);
  }
  return broken;
}

/** Checks that all places of the limits are free, which takes some streams; then waits for rest again. */
export async function checkLimits(gateway) {
  return gateway.isSame ? await checkPlaces(gateway) : [];
}
