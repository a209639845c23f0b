import { clock, count, duration, rate } from "./format.js";

const byId = (id) => document.getElementById(id);

/** Shows the facts of the header and the figures. */
export function showOverview(view) {
  const { at, about, startedAt, workers, reloads } = view;
  show("fact-version", about.version, `Node.js ${about.node}`);
  show("fact-host", about.host, about.host);
  show("fact-uptime", duration(at - startedAt), `since ${new Date(startedAt).toISOString()}`);
  show("fact-reloads", reloadsIn(reloads), lastReload(reloads));
  byId("fact-workers-row").hidden = !workers;
  if (workers) show("fact-workers", `${workers.serving}/${workers.wanted}`);
  showTiles(view);
}

function showTiles({ sample, streams, backendsUp, backendCount, failureSums: { failed, refused } }) {
  // Before the first sample only the list knows the number of streams.
  show("tile-streams", count(sample?.streams ?? streams.total));
  show("tile-events", rate(sample?.eventsPerSecond));
  show("tile-requests", rate(sample?.requestsPerSecond));
  show("tile-failed", count(failed)).classList.toggle("some", failed > 0);
  show("tile-refused", count(refused));
  const backends = backendCount === 0 ? "none" : `${count(backendsUp)}/${count(backendCount)}`;
  show("tile-backends", backends).classList.toggle("some", backendsUp < backendCount);
}

const reloadsIn = ({ succeeded, failed }) =>
  failed === 0 ? count(succeeded) : `${count(succeeded)}, ${count(failed)} rejected`;

const lastReload = ({ last }) =>
  last ? `Last reload at ${clock(last.at)}: ${last.result === "success" ? "done" : "rejected"}` : "";

function show(id, text, title = "") {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
  if (element.title !== title) element.title = title;
  return element;
}
