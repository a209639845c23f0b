const byId = (id) => document.getElementById(id);
const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
const seconds = (ms) => `${Math.round(ms / 1000)} s`;

/**
 * The same stream through an nginx alone, beside the live one: how many of the events that have come live are still
 * held back there, and for how long. Returns what is to be called with each live event.
 */
export function startHeld() {
  const port = meta("nginx-port");
  // The page has no gateway's port where something else serves it, which then is what stands in front.
  byId("held").hidden = meta("gateway-port") === "";
  byId("held-none").hidden = port !== "";
  byId("held-lane").hidden = port === "";
  return port === "" ? () => {} : watch(`http://${location.hostname}:${port}/stream`);
}

function watch(url) {
  /** Those that came live and not through nginx: { number, sentAt }. */
  let held = [];
  let source;
  let lump = 0;

  function open() {
    held = [];
    source = new EventSource(url);
    source.addEventListener("message", onEvent);
    source.addEventListener("userlogin", onEvent);
    show();
  }

  function onEvent({ lastEventId }) {
    const number = numberOf(lastEventId);
    const oldest = held.find((event) => event.number <= number);
    if (oldest === undefined) return;
    if (lump === 0) setTimeout(() => showLump(Date.now() - oldest.sentAt), 100);
    lump += held.filter((event) => event.number <= number).length;
    held = held.filter((event) => event.number > number);
    show();
  }

  function showLump(lateMs) {
    byId("held-last").textContent = `then ${lump} at once, up to ${seconds(lateMs)} late`;
    lump = 0;
  }

  function show() {
    const oldest = held[0];
    byId("held-count").textContent = held.length.toLocaleString();
    byId("held-age").textContent = oldest === undefined ? "0 s" : seconds(Date.now() - oldest.sentAt);
    byId("held-events").textContent = "●".repeat(Math.min(held.length, MOST_DOTS));
  }

  document.addEventListener("visibilitychange", () => {
    source.close();
    if (!document.hidden) open();
  });
  open();
  return ({ lastEventId }) => {
    held.push({ number: numberOf(lastEventId), sentAt: Date.now() });
    if (held.length > MOST_HELD) held.shift();
    show();
  };
}

const MOST_DOTS = 100;
/** More than nginx holds of this stream. */
const MOST_HELD = 1_000;

/** Ids end in a running number. */
const numberOf = (id) => Number(id.split("-").at(-1));
