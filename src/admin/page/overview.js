import { clock, count, duration, rate } from "./format.js";
import { createRows, elements, texts } from "./rows.js";

const byId = (id) => document.getElementById(id);

/** Reasons that mean a failure, and not the will of the client or of the gateway. */
const TROUBLE = new Set(["backend_failed", "idle_timeout", "slow_client"]);

/** Creates the figures and all tables except that of the open streams. */
export function createOverview() {
  const showRoutes = createRows(
    byId("routes"),
    [
      elements("span", showRoute),
      texts(({ streams }) => count(streams), { className: "number" }),
      texts(({ eventsPerSecond }) => rate(eventsPerSecond), { className: "number" }),
      texts(({ requests }) => count(requests), { className: "number more" }),
      texts(({ answers }) => (answers === undefined ? "–" : count(answers)), { className: "number more" }),
      elements("span", showFailures, { className: "number" }),
    ],
    ({ name }) => name,
  );
  const showBackends = createRows(
    byId("backends"),
    [
      elements("span", showBackend),
      elements("span", showHealth),
      texts(({ inFlight }) => count(inFlight), { className: "number" }),
    ],
    ({ route, backend }) => `${route} ${backend}`,
  );
  let now = 0;
  const showEnds = createRows(
    byId("ends"),
    [
      elements("time", (element, { endedAt }) => showAgo(element, endedAt, now)),
      texts(({ route }) => route, { title: true }),
      elements("span", showReason),
      texts(({ client }) => client, { className: "more", title: true }),
      texts(({ backend }) => backend ?? "–", { className: "more", title: true }),
      texts(({ durationMs }) => duration(durationMs), { className: "number" }),
      texts(({ events }) => count(events), { className: "number more" }),
    ],
    ({ id, endedAt }) => `${id} ${endedAt}`,
  );

  return (view) => {
    now = view.at;
    showTiles(view);
    showRoutes(view.routes);
    showBackends(view.backends);
    showEnds(view.ends);
    byId("routes-total").textContent = count(view.routeCount);
    byId("backends-total").textContent = count(view.backendCount);
    byId("backends-empty").hidden = view.backendCount > 0;
    byId("ends-empty").hidden = view.ends.length > 0;
    byId("unmatched").textContent = `Requests without a matching route: ${count(view.unmatched)}`;
  };
}

function showTiles({ at, startedAt, sample, streams, backendsUp, backendCount, reloads }) {
  const isFiltered = sample === undefined;
  byId("tile-streams").textContent = count(isFiltered ? streams.total : sample.streams);
  byId("tile-events").textContent = rate(sample?.eventsPerSecond);
  byId("tile-requests").textContent = rate(sample?.requestsPerSecond);
  byId("tile-backends").textContent = backendCount === 0 ? "none" : `${backendsUp}/${backendCount}`;
  byId("tile-reloads").textContent =
    reloads.failed === 0
      ? count(reloads.succeeded)
      : `${count(reloads.succeeded)}, ${count(reloads.failed)} failed`;
  byId("tile-reloads").title =
    reloads.last === undefined ? "" : `Last reload at ${clock(reloads.last.at)}: ${reloads.last.result}`;
  byId("tile-uptime").textContent = duration(at - startedAt);
}

function withSub(element, main, sub, cell) {
  if (element.childNodes.length === 0)
    element.append("", Object.assign(document.createElement("span"), { className: "sub" }));
  if (element.firstChild.data !== main) element.firstChild.data = main;
  if (element.lastChild.textContent !== sub) element.lastChild.textContent = sub;
  cell.title = `${main} ${sub}`;
}

const showRoute = (element, { name, path, host }, cell) =>
  withSub(element, name, `${host ?? ""}${path}`, cell);

const showBackend = (element, { route, backend, isBackup }, cell) =>
  withSub(element, backend, isBackup ? `${route}, backup` : route, cell);

const HEALTH = { up: "up", untried: "not tried yet", failing: "failing", unhealthy: "unhealthy" };

function showHealth(element, { state, failing }, cell) {
  element.className = "health";
  element.dataset.health = state;
  element.textContent = HEALTH[state];
  cell.title = failing === undefined ? "" : `since ${clock(failing.since)}: ${failing.reason}`;
}

function showFailures(element, { failures }, cell) {
  element.textContent = count(failures);
  cell.classList.toggle("some", failures > 0);
}

function showReason(element, { reason }) {
  element.className = TROUBLE.has(reason) ? "tag trouble" : "tag";
  element.textContent = reason.replaceAll("_", " ");
}

function showAgo(element, at, now) {
  element.dateTime = new Date(at).toISOString();
  element.title = clock(at);
  element.textContent = duration(now - at);
}
