import { createChart } from "./chart.js";
import { eventBlocks } from "./event-blocks.js";

const SLICES = 40;
const byId = (id) => document.getElementById(id);

/** Requests many events at once, and shows whether all came in order and how long that took. */
export function startBurst(gateway) {
  const chart = createChart(byId("burst-chart"), SLICES);
  byId("burst").addEventListener("submit", async (submit) => {
    submit.preventDefault();
    const button = byId("burst").querySelector("button");
    button.disabled = true;
    await receive(gateway, Number(byId("burst-events").value), chart).catch(showFailure);
    button.disabled = false;
  });
}

async function receive(gateway, events, chart) {
  const response = await fetch(`${gateway}/burst?events=${events}`);
  if (!response.ok) throw new Error(`status ${response.status}`);
  const arrivals = [];
  let isInOrder = true;
  let isWhole = false;
  for await (const { event, data } of eventBlocks(response)) {
    if (event === "done") {
      isWhole = JSON.parse(data).events === arrivals.length;
      continue;
    }
    arrivals.push(performance.now());
    isInOrder &&= JSON.parse(data).number === arrivals.length;
  }
  chart.draw(slices(arrivals));
  byId("burst-received").textContent = `${arrivals.length.toLocaleString()}${isWhole ? "" : " (incomplete)"}`;
  byId("burst-order").textContent = isInOrder ? "yes" : "no";
  byId("burst-took").textContent = `${(arrivals.at(-1) - arrivals[0]).toFixed(1)} ms`;
}

/** Returns how many events had arrived at the end of each slice of the time from the first to the last event. */
function slices(arrivals) {
  const firstAt = arrivals[0];
  const sliceMs = (arrivals.at(-1) - firstAt) / SLICES;
  return Array.from({ length: SLICES }, (_, slice) => {
    const until = firstAt + sliceMs * (slice + 1);
    const later = arrivals.findIndex((at) => at > until);
    return slice === SLICES - 1 || later === -1 ? arrivals.length : later;
  });
}

function showFailure(error) {
  byId("burst-received").textContent = `failed: ${error.message}`;
}
