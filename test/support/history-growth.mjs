import { setTimeout as delay } from "node:timers/promises";

/**
 * Fills histories in a separate process, and prints the growth of its memory and the counted bytes. Run on a built
 * checkout: `node --expose-gc history-growth.mjs STREAMS EVENTS BYTES own|backend`.
 */
const dist = new URL("../../dist/", import.meta.url);
const load = (path) => import(new URL(path, dist).href);
const { History } = await load("shared/history.js");
const { HistoryBudget } = await load("shared/history-budget.js");
const { makeId, withId } = await load("shared/event-id.js");
const { BlockSplitter } = await load("sse/block-splitter.js");
const { readEventFields } = await load("sse/event-fields.js");

const [streams, events, bytes] = process.argv.slice(2, 5).map(Number);
const hasIds = process.argv[5] === "backend";

async function settled() {
  for (let round = 0; round < 4; round++) {
    globalThis.gc();
    await delay(20);
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { used: heapUsed + external, rss };
}

/** Returns events as a backend sends them: several in one packet, whose buffer is garbage afterwards. */
function fill(history, stream, events) {
  const epoch = `epoch-${stream}`;
  history.reset({ epoch, lastSeq: 0, events: [] });
  const splitter = new BlockSplitter(1e6);
  for (let seq = 1; seq <= events; ) {
    let packet = "";
    for (let next = seq; next <= events && packet.length < 16_384; next++) {
      const id = hasIds ? `id: ${stream}-${next}-of-a-backend\n` : "";
      packet += `${id}data: ${"x".repeat(Math.max(1, bytes - 8 - id.length))}\n\n`;
    }
    for (const block of splitter.feed(Buffer.from(packet))) {
      const { id } = readEventFields(block);
      const own = id ?? makeId(epoch, seq);
      const at = Date.now();
      history.push({ seq, id: own, backendId: id ?? "", at, block: hasIds ? block : withId(block, own) });
      seq++;
    }
  }
}

const budget = new HistoryBudget(Number.POSITIVE_INFINITY);
const bounds = { events: 1e6, bytes: 1e9, ageMs: 1e9 };
// The first round compiles code and grows the young generation: both stay and do not belong to a history.
const warm = Array.from({ length: 50 }, () => new History(bounds));
for (const [stream, history] of warm.entries()) fill(history, stream, Math.min(events, 1_000));
for (const history of warm) history.close();
const histories = Array.from({ length: streams }, () => new History(bounds, budget));
const before = await settled();
for (const [stream, history] of histories.entries()) fill(history, stream, events);
const after = await settled();
const payload = histories.reduce((sum, history) => sum + history.bytesAfter(0), 0);
const growth = { used: after.used - before.used, rss: after.rss - before.rss };
process.stdout.write(JSON.stringify({ counted: budget.bytes, payload, ...growth }));
