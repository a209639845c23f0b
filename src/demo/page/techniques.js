import { eventBlocks } from "./event-blocks.js";

/** The wait after a failure: the gateway may be restarting. */
const RETRY_MS = 1_000;
/** The wait of a long poll, shorter than the timeouts of proxies. */
const WAIT = "25s";

/**
 * The three techniques of the article, as loops over `fetch` that run until they are aborted. Each resumes after its last
 * event, so that it misses none.
 */
export const TECHNIQUES = {
  polling: async (way, everyMs) => {
    await poll(way, { transport: "polling" });
    await sleep(everyMs, way.signal);
  },
  "long-polling": (way) => poll(way, { transport: "long-polling", timeout: WAIT }),
  // An EventSource waits as long before it reconnects.
  stream: async (way) => {
    await stream(way);
    await sleep(RETRY_MS, way.signal);
  },
};

/** Returns the id after which new events begin, for all three techniques. */
export async function present(url, signal) {
  const response = await fetch(`${url}?transport=polling`, { signal });
  return (await response.json()).lastEventId;
}

/** Runs a technique; `way` is { url, lane, lastEventId, signal, onChange, onState }. */
export async function run(technique, way, everyMs) {
  while (!way.signal.aborted) {
    try {
      await technique(way, everyMs);
    } catch {
      if (!way.signal.aborted) way.onState("reconnecting");
      await sleep(RETRY_MS, way.signal);
    }
  }
}

async function poll(way, parameters) {
  await asking(way, parameters, async (response, request) => {
    const body = await response.text();
    way.lane.bytes(new TextEncoder().encode(body).length);
    const { events, lastEventId } = JSON.parse(body);
    for (const { data } of events) way.lane.take(request, data);
    way.lastEventId = lastEventId;
  });
}

async function stream(way) {
  await asking(way, {}, async (response, request) => {
    const onBytes = (length) => {
      way.lane.bytes(length);
      way.onChange();
    };
    for await (const { id, data } of eventBlocks(response, onBytes)) {
      way.lane.take(request, data);
      way.lastEventId = id;
      way.onChange();
    }
  });
}

/** Sends one request of a technique, and counts it from its start to its end, even if it fails. */
async function asking({ url, lane, lastEventId, signal, onChange, onState }, parameters, read) {
  const query = new URLSearchParams({ ...parameters, ...(lastEventId && { lastEventId }) });
  const request = lane.begin();
  onChange();
  try {
    const response = await fetch(`${url}?${query}`, { signal, cache: "no-store" });
    lane.head(response);
    if (!response.ok) throw new Error(`status ${response.status}`);
    onState("live");
    await read(response, request);
  } finally {
    lane.end(request);
    onChange();
  }
}

/** Waits `ms`; resolves early if aborted, which the caller has to check. */
function sleep(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
