import { createChart } from "./chart.js";
import { createEnds } from "./ends.js";
import { showHealth } from "./health.js";
import { showOverview } from "./overview.js";
import { cardsWhenNarrow } from "./rows.js";
import { createStreams } from "./streams.js";
import { createTables } from "./tables.js";

/** The silence, in ms, after which the connection counts as lost: an overview comes every second. */
const SILENCE_MS = 5000;
/** A browser reconnects by itself after a broken stream, but not after a response that is no event stream. */
const RETRY_MS = 2000;

const byId = (id) => document.getElementById(id);

for (const table of document.querySelectorAll("[data-cards]")) cardsWhenNarrow(table);
const chart = createChart(byId("chart"), byId("chart-note"));
const streams = createStreams(connect);
const ends = createEnds(connect);
const showTables = createTables();
/** The parts of the last view; each event has those that have changed. */
const view = {};
let source;
let silence;
let retry;

function connect() {
  source?.close();
  clearTimeout(retry);
  source = new EventSource(`/api/events?${new URLSearchParams({ ...streams.view(), ...ends.view() })}`);
  source.addEventListener("history", (event) => chart.reset(JSON.parse(event.data)));
  source.addEventListener("overview", (event) => show(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    lose();
    if (source.readyState === EventSource.CLOSED) retry = setTimeout(reopen, RETRY_MS);
  });
  listen();
}

/** Reloads the page if the browser is signed out or the gateway was replaced; reconnects otherwise. */
async function reopen() {
  const answer = await fetch("/api/streams?limit=1").catch(() => undefined);
  if (answer?.status === 401) location.reload();
  else connect();
}

function show(changes) {
  listen();
  setState("live", "live");
  Object.assign(view, changes);
  showHealth(view);
  showOverview(view);
  streams.show(view);
  showTables(view);
  ends.show(view);
  chart.add(view.sample);
  byId("main").classList.remove("waiting");
}

function listen() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    lose();
    connect();
  }, SILENCE_MS);
}

function lose() {
  setState("lost", "connection lost, trying again");
}

function setState(state, text) {
  byId("main").classList.toggle("stale", state === "lost");
  const element = byId("state");
  element.dataset.state = state;
  if (element.textContent !== text) element.textContent = text;
}

connect();
