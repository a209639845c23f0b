const byId = (id) => document.getElementById(id);
const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
const seconds = (ms) => `${Math.round(ms / 1000)} s`;

/**
 * Shows the same stream through nginx without sluice: how many events it holds back, and for how long. Returns a function
 * to be called with each event of the stream through sluice.
 */
export function startHeld() {
  const port = meta("nginx-port");
  // Without a gateway's port, the page is served through the gateway, and perhaps through an nginx in front.
  byId("held").hidden = meta("gateway-port") === "";
  byId("held-none").hidden = port !== "";
  byId("held-lane").hidden = port === "";
  return port === "" ? () => {} : watch(`http://${location.hostname}:${port}/stream`);
}

function watch(url) {
  /** The events that came through sluice and not yet through nginx: { number, sentAt }. */
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
/** A bound above the number of events that nginx holds of this stream. */
const MOST_HELD = 1_000;

/** Ids end with a running number. */
const numberOf = (id) => Number(id.split("-").at(-1));
