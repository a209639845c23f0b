import { GROWTH } from "./growth.mjs";
import { RELAYED_STREAMS } from "./session.mjs";

/**
 * The measurements with their figures. A figure's `must` and `aim` are ratios to nginx in the same turn or round (in
 * growth.mjs: to the process with few); `mustBe` is a bound of the figure itself. `more: true` if more is better. With `turns` all proxies are prepared and then measured in turn that often;
 * without, each is started and measured once. The results of `prepare` are figures too, the same in each turn.
 */
const EVENTS = "/events?stream=";
const RATE = 20_000;
const WARM_MS = 1500;
/** In turns. */
const TURNS = 6;
const TURN_WARM_MS = 100;
/**
 * Between its turns a process is idle and without connections, and V8 then drops optimized code: half of the requests of
 * the next second would run without it.
 */
const REWARM_MS = 1000;
const TURN_MS = 1500;
/** Two events per second to each of 10,000 clients. */
const SHARED_TURN_MS = 3000;
const SHARED_TURNS = 3;
/** V8 collects what an idle process holds after about 10 s. */
const SETTLE_MS = 15_000;
/** The streams that are opened and closed in a measurement of what a process keeps of them. */
const CLOSED_STREAMS = 100_000;
/** The number of streams opened at a time. */
const AT_ONCE = 48;

const RELAYS = [
  "direct",
  "nginx",
  "haproxy",
  "caddy",
  "http-proxy",
  "httpxy",
  "@fastify/http-proxy",
  "floor",
  "sluice",
  "baseline",
];
const SHARERS = ["direct", "nginx", "haproxy", "sluice", "baseline", "nchan"];

const us = (cpuMs, count) => (cpuMs * 1000) / count;

async function checkStreams(session) {
  await session.run(`open 100 20 ${EVENTS}`);
  await session.run("pace pace 5000 1 0 400");
  await session.run("close");
}

async function checkShared(session, name) {
  await session.run("open 100 20 /shared");
  await session.run(`${tick(name)} 20 1 0 400`);
  await session.run("close");
}

const tick = (name) => `pace ${name === "nchan" ? "publish" : "tick"}`;

const perEvent = ({ cpuMs, events, p50us, p99us }) => ({
  cpu: us(cpuMs.proxy, events),
  p50: p50us,
  p99: p99us,
  generator: us(cpuMs.backend + cpuMs.load, events),
});

async function prepareRelay(session) {
  await session.run(`open 1000 ${AT_ONCE} ${EVENTS}`);
  await session.run(`pace pace ${RATE} 1 0 ${WARM_MS}`);
}

async function relay(session) {
  return perEvent(await session.run(`pace pace ${RATE} 1 ${TURN_WARM_MS} ${TURN_MS}`));
}

/** Idle, but not fresh: every stream has carried some events. Without what the start has left over, as that is collected too. */
async function memory(session, open, pace, streams) {
  await session.run(`idle ${SETTLE_MS}`);
  const before = session.memoryKib();
  await session.run(open);
  await session.run(pace);
  await session.run(`idle ${SETTLE_MS}`);
  return { memory: (session.memoryKib() - before) / streams };
}

async function openAndClose(session) {
  const result = await session.run(`open 5000 ${AT_ONCE} ${EVENTS}`);
  await session.run("close");
  await session.run("idle 500");
  return result;
}

/** Twice as many first, for all proxies: Node's compiler needs some thousand streams (2.3k, 3.6k, 4.1k/s). */
async function prepareOpens(session) {
  await openAndClose(session);
  await openAndClose(session);
}

async function opens(session) {
  // As in `prepareOpens`: since its last turn, V8 may have dropped the optimized code.
  await openAndClose(session);
  await openAndClose(session);
  const { opened, seconds, p50us, p99us, cpuMs } = await openAndClose(session);
  return { rate: opened / seconds, p50: p50us, p99: p99us, cpu: us(cpuMs.proxy, opened) };
}

async function plain(session, warmMs, ms) {
  const result = await session.run(`plain 64 ${warmMs} ${ms}`);
  await session.run("close");
  return result;
}

async function prepareOrdinary(session) {
  await plain(session, 0, WARM_MS);
}

async function ordinary(session) {
  const { answers, seconds, p99us, cpuMs } = await plain(session, REWARM_MS, TURN_MS);
  return { rate: answers / seconds, p99: p99us, cpu: us(cpuMs.proxy, answers) };
}

async function transfers(session, kind, warmMs, ms) {
  const result = await session.run(`plain 16 ${warmMs} ${ms} ${kind}`);
  await session.run("close");
  return result;
}

async function transfer(session, kind) {
  const { answers, seconds, p99us, cpuMs } = await transfers(session, kind, REWARM_MS, TURN_MS);
  return { rate: answers / seconds, p99: p99us, cpu: us(cpuMs.proxy, answers) };
}

/** Large bodies, with the faster setting of nginx: it buffers responses, and no requests. The floor has no such path. */
const transferring = (kind, title) => ({
  title,
  proxies: RELAYS.filter((name) => name !== "floor"),
  check: checkStreams,
  prepare: async (session) => void (await transfers(session, kind, 0, WARM_MS)),
  measure: (session) => transfer(session, kind),
  turns: TURNS,
  figures: {
    rate: { label: "bodies", unit: "/s", more: true, must: 0.8 },
    p99: { label: "response p99", unit: "µs", must: 2 },
    cpu: { label: "CPU per body", unit: "µs" },
  },
});

/** All clients of a gateway that was restarted connect at once. */
async function returning(session) {
  const { opened, seconds, cpuMs } = await session.run(`open ${RETURNING} ${RETURNING} ${EVENTS}`);
  return { last: seconds, cpu: us(cpuMs.proxy, opened) };
}

/** The first streams of a process, and those that follow on the same process when it is warm. */
async function warmingUp(session) {
  const { opened, cpuMs } = await session.run(`open 1000 ${AT_ONCE} ${EVENTS}`);
  await session.run("close");
  for (let i = 0; i < 3; i++) await openAndClose(session);
  const warm = await openAndClose(session);
  const cold = us(cpuMs.proxy, opened);
  return { cold, factor: cold / us(warm.cpuMs.proxy, warm.opened) };
}

async function prepareSaturation(session) {
  await session.run(`open 1000 ${AT_ONCE} ${EVENTS}`);
  await session.run(`saturate 0 ${WARM_MS}`);
}

async function saturation(session) {
  const { events, seconds, p99us } = await session.run(`saturate ${TURN_WARM_MS} ${TURN_MS}`);
  return { rate: events / seconds, p99: p99us };
}

/** The memory of a process without streams, before and after many. Some thousand come first: V8 compiles the code. */
async function leftovers(session) {
  await openAndClose(session);
  await openAndClose(session);
  await session.run(`idle ${SETTLE_MS}`);
  const before = session.memoryKib();
  for (let closed = 0; closed < CLOSED_STREAMS; closed += 5000) await openAndClose(session);
  await session.run(`idle ${SETTLE_MS}`);
  return { factor: session.memoryKib() / before };
}

/** In a new process: the cost of opening the streams, and the memory of each. */
async function prepareGrowth(session, streams) {
  await session.run("idle 500");
  const before = session.memoryKib();
  const { opened, seconds } = await session.run(`open ${streams} ${AT_ONCE} ${EVENTS}`);
  await session.run(`pace pace ${RATE} 1 0 ${WARM_MS}`);
  await session.run("idle 1000");
  return { opens: opened / seconds, memory: (session.memoryKib() - before) / streams };
}

const sharedPace = (name, clients, burst) => `${tick(name)} ${RATE / clients / burst} ${burst}`;

async function prepareShared(session, name, clients, burst) {
  await session.run(`open ${clients} ${AT_ONCE} /shared`);
  await session.run(`${sharedPace(name, clients, burst)} 0 ${WARM_MS}`);
}

async function shared(session, name, clients, burst) {
  const result = await session.run(`${sharedPace(name, clients, burst)} ${TURN_WARM_MS} ${SHARED_TURN_MS}`);
  const { cpuMs, events, lastMs } = result;
  return { ...perEvent(result), system: us(cpuMs.proxy + cpuMs.backend, events), last: lastMs };
}

const cpu = { label: "CPU per event", unit: "µs" };
const p50 = { label: "latency p50", unit: "µs" };
const p99 = { label: "latency p99", unit: "µs" };
const memoryEach = { label: "memory per stream", unit: "KiB" };
const growth = (streams) => ({
  title: `growth: ${streams.toLocaleString("en")} streams`,
  proxies: RELAYS,
  check: checkStreams,
  prepare: (session) => prepareGrowth(session, streams),
  measure: relay,
  turns: TURNS,
  figures: {
    cpu,
    p99,
    memory: memoryEach,
    opens: { label: "streams opened", unit: "/s", more: true },
  },
});

const system = { label: "CPU of proxy and backend per delivered event", unit: "µs" };
const sharing = (clients, burst, bounds) => ({
  title: `shared: ${clients.toLocaleString("en")} clients${burst === 1 ? "" : `, bursts of ${burst}`}`,
  proxies: SHARERS,
  isShared: true,
  check: checkShared,
  prepare: (session, name) => prepareShared(session, name, clients, burst),
  measure: (session, name) => shared(session, name, clients, burst),
  turns: SHARED_TURNS,
  figures: {
    cpu: { ...cpu, ...bounds.cpu },
    system: { ...system, ...bounds.system },
    p50,
    p99,
    last: { label: "the last client has an event after", unit: "ms", ...bounds.last },
  },
});
const RETURNING = Math.min(9_000, RELAYED_STREAMS);
const ALL_CLIENTS = Math.min(10_000, RELAYED_STREAMS);

export const MEASUREMENTS = {
  relay: {
    title: "relay: 1,000 streams, 20,000 events/s",
    proxies: RELAYS,
    check: checkStreams,
    prepare: prepareRelay,
    measure: relay,
    turns: TURNS,
    figures: {
      cpu: { ...cpu, must: 1.2, mustOfFloor: 1.06 },
      p50,
      p99: { ...p99, must: 2, aim: 1, mustOfFloor: 1.3 },
      generator: { label: "CPU of backend and load", unit: "µs" },
    },
  },
  memory: {
    title: "relay: 5,000 idle streams",
    proxies: RELAYS,
    check: checkStreams,
    measure: (session) =>
      memory(session, `open 5000 ${AT_ONCE} ${EVENTS}`, `pace pace ${RATE} 1 0 1000`, 5000),
    figures: { memory: { ...memoryEach, must: 0.45 } },
  },
  opens: {
    title: `relay: opening streams, ${AT_ONCE} at once`,
    proxies: RELAYS,
    check: checkStreams,
    prepare: prepareOpens,
    measure: opens,
    turns: TURNS,
    figures: {
      rate: { label: "streams opened", unit: "/s", more: true, must: 0.5 },
      p50: { label: "first event p50", unit: "µs" },
      p99: { label: "first event p99", unit: "µs" },
      cpu: { label: "CPU per stream", unit: "µs", must: 2.2, aim: 1.8 },
    },
  },
  leftovers: {
    title: "relay: 100,000 streams, opened and closed",
    proxies: ["nginx", "sluice", "baseline"],
    check: checkStreams,
    measure: leftovers,
    figures: {
      factor: { label: "memory afterwards, compared with before", unit: "times", mustBe: 1.1 },
    },
  },
  return: {
    title: `relay: ${RETURNING.toLocaleString("en")} clients come back at once, to a new process`,
    proxies: RELAYS,
    check: async () => {},
    measure: returning,
    figures: {
      last: { label: "all have their first event", unit: "s", must: 3 },
      cpu: { label: "CPU per stream", unit: "µs" },
    },
  },
  cold: {
    title: "relay: the first 1,000 streams of a process",
    proxies: RELAYS,
    check: async () => {},
    measure: warmingUp,
    figures: {
      cold: { label: "CPU per stream", unit: "µs" },
      factor: { label: "CPU, compared with a warm process", unit: "times", mustBe: 1.5 },
    },
  },
  saturation: {
    title: "relay: 1,000 streams, one event each on the way",
    proxies: RELAYS,
    check: checkStreams,
    prepare: prepareSaturation,
    measure: saturation,
    turns: TURNS,
    figures: { rate: { label: "events", unit: "/s", more: true }, p99 },
  },
  ordinary: {
    title: "ordinary HTTP: 64 kept connections, small answers",
    proxies: RELAYS,
    check: checkStreams,
    prepare: prepareOrdinary,
    measure: ordinary,
    turns: TURNS,
    figures: {
      rate: { label: "requests", unit: "/s", more: true, must: 0.55, aim: 0.7 },
      p99: { label: "answer p99", unit: "µs", must: 2 },
      cpu: { label: "CPU per request", unit: "µs" },
    },
  },
  kept: {
    title: "ordinary HTTP: 5,000 idle kept connections",
    proxies: RELAYS,
    check: checkStreams,
    measure: (session) => memory(session, `open 5000 ${AT_ONCE} /plain`, "idle 100", 5000),
    figures: { memory: { label: "memory per connection", unit: "KiB", must: 0.5 } },
  },
  download: transferring("large", "ordinary HTTP: 16 kept connections, responses of 1 MiB"),
  upload: transferring("upload", "ordinary HTTP: 16 kept connections, requests of 1 MiB"),
  "growth-100": growth(100),
  "growth-1000": growth(1000),
  "growth-9000": growth(9000),
  "shared-1000": sharing(1000, 1, {}),
  "shared-10000": sharing(ALL_CLIENTS, 1, { system: { must: 0.58 }, last: { mustBe: 60 } }),
  "bursts-1000": sharing(1000, 5, {}),
  "bursts-10000": sharing(ALL_CLIENTS, 5, { cpu: { must: 0.35, aim: 0.25 } }),
  "shared-memory": {
    title: "shared: 5,000 idle clients",
    proxies: SHARERS,
    isShared: true,
    check: checkShared,
    measure: (session, name) =>
      memory(session, `open 5000 ${AT_ONCE} /shared`, `${tick(name)} 4 1 0 1000`, 5000),
    figures: { memory: { label: "memory per client", unit: "KiB", must: 0.33, aim: 0.25 } },
  },
  ...GROWTH,
};
