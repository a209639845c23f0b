import { Comparison } from "./comparison.js";
import { gateway } from "./gateway.js";
import { Lane } from "./lane.js";
import { present, run, TECHNIQUES } from "./techniques.js";
import { Timeline } from "./timeline.js";

const url = `${gateway}/readings`;
const byId = (id) => document.getElementById(id);
/** Stops the running comparison; undefined if none runs. */
let stop;

/** Starts all three techniques at the same event, with figures at zero. */
async function start() {
  stop?.();
  const running = new AbortController();
  const { signal } = running;
  const lanes = Object.fromEntries(Object.keys(TECHNIQUES).map((name) => [name, new Lane()]));
  const timeline = new Timeline(byId("timeline"), Object.values(lanes));
  const comparison = new Comparison(lanes);
  stop = () => {
    running.abort();
    timeline.stop();
    comparison.stop();
    stop = undefined;
  };
  showState("connecting");
  comparison.show();
  const lastEventId = await presentId(signal);
  if (signal.aborted) return;
  showState("live");
  const everyMs = Number(byId("every").value);
  const onChange = () => comparison.show();
  for (const [name, technique] of Object.entries(TECHNIQUES)) {
    const way = { url, lane: lanes[name], lastEventId, signal, onChange, onState: showState };
    void run(technique, way, everyMs);
  }
}

/** Asks until the gateway responds. */
async function presentId(signal) {
  while (!signal.aborted) {
    try {
      return await present(url, signal);
    } catch {
      if (!signal.aborted) showState("reconnecting");
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

function toggle() {
  if (stop === undefined) return start();
  stop();
  showState("closed", "stopped");
}

function showState(state, word = state) {
  byId("state").textContent = word;
  byId("state").dataset.state = state;
  byId("toggle").textContent = state === "closed" ? "Start again" : "Stop";
}

byId("now").addEventListener("click", () => fetch(url, { method: "POST" }));
byId("toggle").addEventListener("click", toggle);
byId("every").addEventListener("change", start);
// Browsers open at most six HTTP/1.1 connections to one host: a tab in the background gives up its connections.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) return start();
  stop?.();
  showState("closed", "paused");
});
void start();
