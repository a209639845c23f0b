import { expect, it } from "vitest";
import { afterTest } from "../../support/after-test.ts";
import { type Backend, type BackendRequest, refusedPort, startBackend } from "../../support/backend.ts";
import {
  type ClientKind,
  openClientPage,
  type PageClient,
  type PageRecord,
} from "../../support/client-page.ts";
import { eventually } from "../../support/eventually.ts";
import { startPageServer } from "../../support/page-server.ts";
import { startRedis } from "../../support/redis.ts";
import { directoryOf, startSluice } from "../../support/sluice-process.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";

/** Browser clients of a shared stream while their process is replaced. */

const EVERY_MS = 10;
const MOST_EVENTS = 10_000;

/** Sends numbered events during the test; a request with an id gets the events after it, others the next events. */
async function startNumbers(): Promise<Backend & { readonly emitted: () => number }> {
  let newest = 0;
  const open = new Set<BackendRequest>();
  const block = (id: number) => `id: ${id}\ndata: number ${id}\n\n`;
  const timer = setInterval(() => {
    newest += 1;
    for (const request of open) request.emit(block(newest));
  }, EVERY_MS);
  afterTest(() => clearInterval(timer));
  const backend = await startBackend((request) => {
    request.openStream();
    const from = Number(request.field("last-event-id") ?? newest);
    for (let id = from + 1; id <= newest; id += 1) request.emit(block(id));
    open.add(request);
    void request.connection.closed.then(() => open.delete(request));
  });
  return Object.assign(backend, { emitted: () => newest });
}

async function startServing(backend: Backend, more: string) {
  const port = await refusedPort();
  const cwd = directoryOf({
    "config/sluice.yaml": `listen: 127.0.0.1:${port}\nadmin: false\ndrain: { timeout: 1s, retry: 50ms }\n${more}`,
    "config/routes/news.yaml": `match: { path: /news }
upstream: ${backend.url}
cors: true
stream: { retry: 50ms }
shared: { redial: { min: 20ms }, history: { events: ${MOST_EVENTS} } }
`,
  });
  const start = async () => {
    const server = startSluice(["serve", "--config", "config"], { cwd });
    await server.logged("ready");
    return server;
  };
  return { url: `http://127.0.0.1:${port}/news`, start };
}

/** Collects a client's reports until `isEnough`, ignoring connection errors. */
async function take(client: PageClient, isEnough: (events: readonly PageRecord[]) => boolean) {
  const events: PageRecord[] = [];
  while (!isEnough(events)) {
    if (events.length > MOST_EVENTS)
      throw new Error(`not what was awaited: ${JSON.stringify(events.slice(-3))}`);
    const record = await client.next();
    // fetch-event-source reports every empty line, also the one behind `retry:`.
    if (record.data === "") continue;
    if (record.type === "message" || record.type === "sluice.gap") events.push(record);
  }
  return events;
}

const numbersOf = (events: readonly PageRecord[]) =>
  events.filter(({ type }) => type === "message").map(({ id }) => Number(id));

const range = (from: number, length: number) => Array.from({ length }, (_, at) => from + at);

const BEFORE = 20;
const AFTER = 40;

const restarts: readonly (readonly [ClientKind, NodeJS.Signals])[] = [
  ["openNative", "SIGTERM"],
  ["openNative", "SIGKILL"],
  // This client sends its last id in the query.
  ["openPolyfill", "SIGTERM"],
  // This client sends its last id in a field; it does not reconnect after a clean end.
  ["openFetch", "SIGKILL"],
];

it.each(restarts)("%s, with Redis: after %s no event is lost or comes twice", async (kind, signal) => {
  const [pages, backend, redis] = await Promise.all([startPageServer(), startNumbers(), startRedis()]);
  // Longer than a busy machine may stop Redis: while Redis is away, it keeps no events.
  const { url, start } = await startServing(
    backend,
    `redis: { url: "${redis.url}", lease: 2s, timeout: 1500ms }\n`,
  );
  const first = await start();
  const page = await openClientPage(pages.origin + pages.path);
  const client = await page.open(kind, "client", url, { types: ["sluice.gap"] });
  const events = await take(client, (taken) => taken.length === BEFORE);
  first.kill(signal);
  await first.ended;
  const gone = backend.emitted();
  await start();
  events.push(...(await take(client, (taken) => numbersOf(taken).some((id) => id > gone + AFTER))));
  expect(events.filter(({ type }) => type === "sluice.gap")).toEqual([]);
  const numbers = numbersOf(events);
  expect(numbers).toEqual(range(numbers[0] ?? 0, numbers.length));
});

it.each(restarts)("%s, without Redis: after %s it gets one gap event", async (kind, signal) => {
  const [pages, backend] = await Promise.all([startPageServer(), startNumbers()]);
  const { url, start } = await startServing(backend, "");
  const first = await start();
  const page = await openClientPage(pages.origin + pages.path);
  const client = await page.open(kind, "client", url, { types: ["sluice.gap"] });
  const before = await take(client, (taken) => taken.length === BEFORE);
  first.kill(signal);
  await first.ended;
  await start();
  const after = await take(client, (taken) => {
    const gap = taken.findIndex(({ type }) => type === "sluice.gap");
    return gap !== -1 && taken.length - gap > AFTER;
  });
  const gapAt = after.findIndex(({ type }) => type === "sluice.gap");
  // Events that were not delivered when the process ended.
  const early = numbersOf([...before, ...after.slice(0, gapAt)]);
  expect(early).toEqual(range(early[0] ?? 0, early.length));
  const told = JSON.parse(after[gapAt]?.data ?? "") as Record<string, string>;
  expect(told).toEqual({
    lastEventId: String(early.at(-1)),
    resumedFrom: expect.stringMatching(/live|earliest/),
  });
  const late = numbersOf(after.slice(gapAt));
  expect(late).toEqual(range(late[0] ?? 0, AFTER));
  expect(late[0]).toBeGreaterThan(early.at(-1) ?? 0);
});

it.each([
  ["openNative", { types: ["sluice.gap"] }],
  ["openPolyfill", { types: ["sluice.gap"] }],
  ["openFetch", {}],
] as const)("%s: a connection that breaks alone is resumed from memory", async (kind, options) => {
  const [pages, backend] = await Promise.all([startPageServer(), startNumbers()]);
  const { url, start } = await startServing(backend, "");
  await start();
  const wire = await startTcpProxy(Number(new URL(url).port));
  const page = await openClientPage(pages.origin + pages.path);
  const through = new URL(url);
  through.port = String(wire.port);
  const client = await page.open(kind, "client", through.href, options);
  const events: PageRecord[] = [];
  for (let cut = 0; cut < 5; cut += 1) {
    events.push(...(await take(client, (taken) => taken.length === BEFORE)));
    wire.cut();
    wire.heal();
  }
  events.push(...(await take(client, (taken) => taken.length === BEFORE)));
  expect(events.filter(({ type }) => type === "sluice.gap")).toEqual([]);
  const numbers = numbersOf(events);
  expect(numbers).toEqual(range(numbers[0] ?? 0, numbers.length));
  expect(backend.requests).toHaveLength(1);
  await eventually(() => backend.openConnections === 1);
});
