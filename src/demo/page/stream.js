import { createChart } from "./chart.js";

const SHOWN_DELAYS = 60;
const SHOWN_EVENTS = 6;
/** The smallest delay that is shown, in ms: below it, the clocks of two machines differ too much. */
const CLOCKS_DIFFER_MS = -50;

const byId = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });

/** Shows the time that the backend sends, as it arrives, and its delay. `onEvent` gets each event. */
export function startStream(gateway, onEvent) {
  const chart = createChart(byId("chart"), SHOWN_DELAYS);
  const delays = [];
  const counts = { events: 0, reconnects: 0, lost: 0 };
  let source;
  let lastNumber;
  let openedAt = 0;

  function open() {
    source = new EventSource(`${gateway}/stream`);
    source.addEventListener("open", () => {
      openedAt = Date.now();
      showState("live");
    });
    source.addEventListener("error", onError);
    source.addEventListener("message", onTime);
    source.addEventListener("userlogin", onUserLogin);
  }

  function onError() {
    counts.reconnects += 1;
    showCounts();
    showState(source.readyState === EventSource.CLOSED ? "closed" : "reconnecting");
    // The browser reconnects by itself, except after a response that is not a stream, such as 502.
    if (source.readyState === EventSource.CLOSED) setTimeout(open, 2000);
  }

  function onTime(event) {
    const sentAt = Date.parse(event.data);
    const delayMs = Date.now() - sentAt;
    // Events from before the connection are replayed, not late.
    const isReplay = sentAt < openedAt;
    byId("clock").textContent = clock.format(sentAt);
    count(event);
    if (isReplay || delayMs < CLOCKS_DIFFER_MS) {
      log(event, isReplay ? "caught up" : "clocks differ");
      return;
    }
    log(event, ms(delayMs));
    delays.push(Math.max(0, delayMs));
    if (delays.length > SHOWN_DELAYS) delays.shift();
    showDelays();
    runDrop();
  }

  function onUserLogin(event) {
    count(event);
    log(event, "");
  }

  /** Counts an event. Ids end with a running number, which shows lost events. */
  function count(event) {
    const number = Number(event.lastEventId.split("-").at(-1));
    if (lastNumber !== undefined && number > lastNumber) counts.lost += number - lastNumber - 1;
    lastNumber = number;
    onEvent(event);
    counts.events += 1;
    showCounts();
  }

  function showCounts() {
    for (const [name, value] of Object.entries(counts)) byId(name).textContent = value.toLocaleString();
  }

  function showDelays() {
    const sorted = delays.toSorted((a, b) => a - b);
    const median = sorted[sorted.length >> 1];
    byId("delay").textContent = ms(delays.at(-1));
    byId("path-delay").textContent = ms(delays.at(-1));
    byId("median").textContent = ms(median);
    byId("slowest").textContent = ms(sorted.at(-1));
    byId("scale").textContent = `0 to ${chart.draw(delays)} ms`;
    byId("chart").setAttribute(
      "aria-label",
      `Delay of the last ${delays.length} events, median ${ms(median)}`,
    );
  }

  byId("cut").addEventListener("click", () => fetch(`${gateway}/stream/cut`, { method: "POST" }));
  // Browsers open at most six HTTP/1.1 connections to one host: a tab in the background gives up its connections.
  document.addEventListener("visibilitychange", () => {
    source.close();
    lastNumber = undefined;
    showState(document.hidden ? "paused" : "connecting");
    if (!document.hidden) open();
  });
  open();
}

function showState(state) {
  byId("state").textContent = state;
  byId("state").dataset.state = state;
}

function log(event, note) {
  const item = document.createElement("li");
  const name = document.createElement("b");
  const data = document.createElement("span");
  const when = document.createElement("i");
  name.textContent = event.type;
  data.textContent = event.data;
  when.textContent = note;
  item.classList.toggle("named", event.type !== "message");
  item.append(name, data, when);
  byId("log").prepend(item);
  if (byId("log").children.length > SHOWN_EVENTS) byId("log").lastChild.remove();
}

function runDrop() {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const steps = [
    { left: "0%", opacity: 1 },
    { left: "100%", opacity: 1, offset: 0.9 },
    { left: "100%", opacity: 0 },
  ];
  byId("drop").animate(steps, { duration: 600, easing: "ease-in-out" });
}

const ms = (value) => (value < 1 ? "< 1 ms" : `${Math.round(value)} ms`);
