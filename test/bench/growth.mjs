import { isSmall, smallOf } from "./proxies.mjs";
import { OPEN_FILES } from "./session.mjs";

/**
 * How the costs of sluice grow: a process with many clients, channels, routes, backends or apps, measured in turns with
 * a process that has few. A figure's `must` is the ratio of the two.
 *
 * With many sockets the kernel itself takes longer for each, because less of them is in the processor's caches. So two
 * processes of a bare program that has as many run in the same turns (`beside`), and `must` is how much more than that
 * program sluice grows.
 *
 * The smallest number of streams is 100, not 1: events that come to one stream 20,000 times a second are read several at
 * a time, and cost less for that alone.
 */

/** The files that a process has for streams; sluice keeps 256 for other uses. */
const FILES = OPEN_FILES - 500;
const RELAYED_STREAMS = Math.floor(FILES / 2);
const SHARED_CLIENTS = Math.min(19_000, FILES);
const RATE = 20_000;
const AT_ONCE = 48;
const TURNS = 3;
const TURN_WARM_MS = 100;
const TURN_MS = 1500;
/** The number of ticks differs from turn to turn if there are few, so these turns are longer. */
const TICKS_MS = 3000;
const REOPENED = 5000;
const STREAMS = 2000;
const MUST = 1.1;
/** Beside a bare program, which has fewer objects for each stream that can be missing in the caches. */
const MUST_BESIDE = 1.2;

const us = (cpuMs, count) => (cpuMs * 1000) / count;
const countOf = ({ small, large }, name) => (isSmall(name) ? small : large);

async function check(session, { path, pace, numbers, field }) {
  await session.run(`open 50 20 ${path} ${numbers} ${field}`);
  await session.run(`${pace(50)} 0 400`);
  await session.run("close");
}

/** Idle, but not fresh: every stream has carried some events. Then warms up what the turns measure. */
async function prepare(session, { streams, path, pace, numbers, field }) {
  await session.run("idle 500");
  const before = session.memoryKib();
  await session.run(`open ${streams} ${AT_ONCE} ${path} ${numbers} ${field}`);
  await session.run(`${pace(streams)} 0 1000`);
  await session.run("idle 1000");
  const memory = (session.memoryKib() - before) / streams;
  await session.run(`reopen ${2 * REOPENED} ${AT_ONCE}`);
  return { memory, process: before / 1024 };
}

async function measure(session, { streams, pace, ms }) {
  const { opened, cpuMs } = await session.run(`reopen ${REOPENED} ${AT_ONCE}`);
  const events = await session.run(`${pace(streams)} ${TURN_WARM_MS} ${ms}`);
  return { event: us(events.cpuMs.proxy, events.events), open: us(cpuMs.proxy, opened) };
}

/** Each stream gets an event of its own in turn. */
const PACED = { ms: TURN_MS, pace: () => `pace pace ${RATE} 1` };
/** All streams get the same event at once. */
const TICKED = { ms: TICKS_MS, pace: (streams) => `pace tick ${RATE / streams} 1` };

/**
 * The large of `sizes` against the small. `load` returns how clients are opened and paced for a size, `files` the files
 * of the configuration by name.
 */
function growing(thing, sizes, { load, files, beside }) {
  const plan = (name) => ({ field: "", numbers: 1, ...load(countOf(sizes, name)) });
  const must = beside === undefined ? MUST : MUST_BESIDE;
  const [from, to] = [sizes.small, sizes.large].map((count) => count.toLocaleString("en"));
  return {
    title: `cost of sluice with ${to} ${thing}, compared with ${from}`,
    proxies: [
      ...(beside === undefined ? [] : [smallOf(beside), beside]),
      smallOf("sluice"),
      "sluice",
      "baseline",
    ],
    isGrowth: true,
    beside,
    sizes,
    files: (name) => (place) => files(countOf(sizes, name), place),
    check: (session, name) => check(session, plan(name)),
    prepare: (session, name) => prepare(session, plan(name)),
    measure: (session, name) => measure(session, plan(name)),
    turns: TURNS,
    figures: {
      event: { label: "CPU per event", unit: "µs", must },
      open: { label: "CPU per stream opened and closed", unit: "µs", must },
      // With 100 streams, the memory of a stream is not measurable beside that of the process.
      memory: { label: "memory per stream", unit: "KiB", ...(beside === undefined && { must }) },
      process: { label: "memory of the process that has just started", unit: "MiB" },
    },
  };
}

const upTo = (count, textOf) => Array.from({ length: count }, (_, i) => textOf(i));

const shared = ({ backend }) => ({
  "routes/shared.yaml": `match: { path: /shared }\nupstream: http://127.0.0.1:${backend}\nshared: { channels: 20000 }\n`,
});

/** The path of an exact route, or of a prefix. */
const pathOf = (i) => (i % 2 === 0 ? `/events/${i}` : `/events/${i}/*`);

const routes = (count, { backend }) =>
  Object.fromEntries(
    upTo(count, (i) => [
      i === 0 ? "routes/relay.yaml" : `routes/relay-${i}.yaml`,
      `match: { path: ${pathOf(i)} }\nupstream: http://127.0.0.1:${backend}\n`,
    ]),
  );

const backends = (count, { backend }) => ({
  "routes/relay.yaml": `match: { path: /* }\nupstream:\n  backends:\n${upTo(
    count,
    (i) => `    - url: http://127.0.0.${i + 1}:${backend}\n`,
  ).join("")}`,
});

/** The beginning of all AppCodes; the number of the app follows. */
const CODE = "c".repeat(64);

const apps = (count, { backend }) => ({
  "apps.yaml": upTo(
    count,
    (i) => `app-${i}: { key: key-${i}, secret: "secret-${i}", appCodes: ["${CODE}${i}"] }\n`,
  ).join(""),
  "routes/relay.yaml": `match: { path: /* }\nupstream: http://127.0.0.1:${backend}\nauth: { appCode: true }\n`,
});

export const GROWTH = {
  "grow-streams": growing(
    "streams",
    { small: 100, large: RELAYED_STREAMS },
    {
      load: (streams) => ({ ...PACED, streams, path: "/events?stream=" }),
      files: () => ({}),
      beside: "floor",
    },
  ),
  "grow-clients": growing(
    "clients of a shared stream",
    { small: 100, large: SHARED_CLIENTS },
    {
      load: (streams) => ({ ...TICKED, streams, path: "/shared" }),
      beside: "writer",
      files: (_, place) => shared(place),
    },
  ),
  "grow-channels": growing(
    "shared streams with a client each",
    { small: 100, large: RELAYED_STREAMS },
    {
      load: (streams) => ({ ...TICKED, streams, path: "/shared?channel=" }),
      beside: "floor",
      files: (_, place) => shared(place),
    },
  ),
  "grow-routes": growing(
    "routes",
    { small: 1, large: 1000 },
    {
      load: (numbers) => ({ ...PACED, streams: STREAMS, path: "/events/*?stream=", numbers }),
      files: routes,
    },
  ),
  "grow-backends": growing(
    "backends",
    { small: 1, large: 100 },
    { load: () => ({ ...PACED, streams: STREAMS, path: "/events?stream=" }), files: backends },
  ),
  "grow-apps": growing(
    "apps",
    { small: 1, large: 10_000 },
    {
      load: (numbers) => ({
        ...PACED,
        streams: STREAMS,
        path: "/events?stream=",
        numbers,
        field: `X-Apig-AppCode: ${CODE}*`,
      }),
      files: apps,
    },
  ),
};
