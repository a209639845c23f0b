import { bytes, count, duration, moment, rate } from "./format.js";
import { createRows, elements, pairs, texts } from "./rows.js";
import { words } from "./words.js";

const byId = (id) => document.getElementById(id);

/** Creates the tables of routes, backends, named answers, and refused and failed requests. */
export function createTables() {
  const tables = [createFailures(), createBackends(), createRoutes(), createAnswers()];
  return (view) => {
    for (const show of tables) show(view);
  };
}

function createFailures() {
  let now = 0;
  const showRows = createRows(
    byId("failures"),
    [
      texts(nameOf, nameOf),
      elements("span", (element, { reason, status }) => {
        element.className = status >= 500 ? "tag trouble" : "tag";
        element.textContent = words(reason);
        element.title = `${reason} in the log`;
      }),
      texts(({ status }) => String(status)),
      texts(({ recent }) => count(recent)),
      texts(({ total }) => count(total)),
      texts(
        ({ lastAt }) => duration(now - lastAt),
        ({ lastAt }) => moment(lastAt),
      ),
    ],
    ({ route, reason, status }) => `${route} ${reason} ${status}`,
  );
  return ({ at, failures }) => {
    now = at;
    showRows(failures);
    byId("failures-empty").hidden = failures.length > 0;
  };
}

const nameOf = ({ route }) => route || "–";

const STATES = { up: "up", untried: "not tried yet", failing: "failing", unhealthy: "unhealthy" };

function createBackends() {
  let now = 0;
  const showRows = createRows(
    byId("backends"),
    [
      pairs(
        ({ backend }) => backend,
        ({ route, isBackup }) => (isBackup ? `${route}, backup` : route),
      ),
      stateColumn(() => now),
      texts(({ inFlight }) => count(inFlight)),
    ],
    ({ route, backend }) => `${route} ${backend}`,
  );
  return ({ at, backends, backendCount }) => {
    now = at;
    showRows(backends);
    byId("backends-total").textContent = count(backendCount);
    byId("backends-empty").hidden = backendCount > 0;
  };
}

/** Returns the column of states: since when a backend fails, and why. */
function stateColumn(now) {
  const column = pairs(
    ({ state, isOut }) => (state === "failing" && isOut ? "failing, out" : STATES[state]),
    ({ failing }) => failing && `${duration(now() - failing.since)}: ${failing.reason}`,
  );
  return (cell, item) => {
    column(cell, item);
    cell.dataset.health = item.state;
    if (item.failing) cell.title = `since ${moment(item.failing.since)}: ${item.failing.reason}`;
  };
}

function createRoutes() {
  const showRows = createRows(
    byId("routes"),
    [
      pairs(
        ({ name }) => name,
        ({ path, host }) => `${host ?? ""}${path}`,
      ),
      texts(({ streams }) => count(streams)),
      texts(({ eventsPerSecond }) => rate(eventsPerSecond)),
      texts(({ requests }) => count(requests)),
      elements("span", (element, { failures }, cell) => {
        element.textContent = count(failures);
        cell.classList.toggle("some", failures > 0);
      }),
    ],
    ({ name }) => name,
  );
  return ({ routes, routeCount }) => {
    showRows(routes);
    byId("routes-total").textContent = count(routeCount);
    byId("routes-empty").hidden = routeCount > 0;
  };
}

function createAnswers() {
  const showRows = createRows(
    byId("answers"),
    [
      texts(nameOfRoute, nameOfRoute),
      texts(({ answers }) => count(answers.running)),
      texts(({ answers }) => count(answers.kept)),
      texts(({ answers }) => bytes(answers.bytes)),
      texts(({ answers: { resumes } }) => count((resumes.attached ?? 0) + (resumes.read ?? 0)), resumesOf),
      texts(({ answers: { resumes } }) => count(inVain(resumes)), resumesOf),
    ],
    ({ name }) => name,
  );
  return ({ routes, unrecorded }) => {
    const answering = routes.filter(({ answers }) => answers);
    byId("answers-card").hidden = answering.length === 0;
    showRows(answering);
    const reasons = Object.entries(unrecorded);
    byId("unrecorded").hidden = reasons.length === 0;
    byId("unrecorded").textContent = `Answers that are not kept, by reason: ${listed(reasons)}.`;
  };
}

const nameOfRoute = ({ name }) => name;

const inVain = ({ unknown = 0, mismatch = 0, gone = 0, failed = 0 }) => unknown + mismatch + gone + failed;

const listed = (counts) => counts.map(([name, value]) => `${words(name)} ${count(value)}`).join(", ");

const resumesOf = ({ answers: { resumes } }) => listed(Object.entries(resumes));
