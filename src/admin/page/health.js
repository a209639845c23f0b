import { count, duration, moment } from "./format.js";
import { counted, words } from "./words.js";

/** The maximum number of problems that are listed; the tables have all backends and requests. */
const MAX_SHOWN = 8;

/** How long, in ms, a problem that is over is still listed. */
const REMEMBERED_MS = 3_600_000;

const BAD = 0;
const WARNING = 1;

const OBSTACLES = {
  starting: ["The gateway is starting", "It does not listen yet."],
  draining: ["The gateway is draining", "It accepts no connections; open streams end between two events."],
  out_of_files: ["No file can be opened", "New connections are refused. Raise the limit of open files."],
  out_of_memory: ["The heap is nearly full", "Further streams are refused."],
  store_degraded: [
    "Redis is away",
    "Events are still delivered, but other instances may lack those that are not in Redis.",
  ],
};

const INCIDENTS = {
  internal_error: ["internal error", "Each has a line with its stack in the log: internal_error."],
  stall: ["stall of the event loop", "The process stood still for more than a second."],
  worker_died: ["replaced worker", "A worker crashed or died; its streams have ended."],
};

/** Returns what is wrong, the worst first; each problem has a level, a title, a time and a text. */
function problemsOf(view) {
  const all = [
    ...obstacles(view),
    ...workers(view),
    ...backends(view),
    ...reload(view),
    ...failedRequests(view),
    ...incidents(view),
  ];
  return all.sort((a, b) => a.level - b.level);
}

function obstacles({ obstacles: standing, isReady }) {
  return standing.map(({ obstacle, since }) => {
    const [title, text] = OBSTACLES[obstacle] ?? [words(obstacle), ""];
    // A gateway is ready without its Redis, unless the configuration requires it.
    const isTolerated = obstacle === "store_degraded" && (isReady || standing.length > 1);
    return { level: isTolerated ? WARNING : BAD, title, since, text };
  });
}

function workers({ workers: of, obstacles: standing }) {
  if (!of || of.serving >= of.wanted || standing.some(({ obstacle }) => obstacle === "starting")) return [];
  const title = `${of.serving} of ${counted(of.wanted, of.wanted, "worker")} ${of.serving === 1 ? "serves" : "serve"}`;
  return [{ level: WARNING, title, text: "The log says why the others do not." }];
}

function backends({ backends: rows }) {
  const working = new Set(rows.filter(({ state }) => isUp(state)).map(({ route }) => route));
  return rows
    .filter(({ state }) => !isUp(state))
    .map(({ route, backend, state, failing, isOut }) => ({
      level: working.has(route) ? WARNING : BAD,
      title: `Backend ${backend} ${state === "unhealthy" ? "is unhealthy" : "fails"}`,
      since: failing?.since,
      text: [
        `Route ${route}${working.has(route) ? "" : ", which has no other backend that works"}`,
        failing?.reason,
        isOut ? "gets no requests" : undefined,
      ]
        .filter(Boolean)
        .join(" · "),
    }));
}

const isUp = (state) => state === "up" || state === "untried";

function reload({ reloads: { last } }) {
  if (last?.result !== "failure") return [];
  const text = ["The previous configuration stays in force.", ...last.problems].join("\n");
  return [{ level: WARNING, title: "The last reload was rejected", since: last.at, text }];
}

function failedRequests({ failureSums: { failed }, failures }) {
  if (failed === 0) return [];
  const most = failures.filter(({ status, recent }) => status >= 500 && recent > 0).slice(0, 3);
  return [
    {
      level: WARNING,
      title: `${counted(count(failed), failed, "request")} failed in the last five minutes`,
      text: most
        .map(({ route, reason, recent }) => `${route || "no route"}: ${count(recent)} × ${words(reason)}`)
        .join(" · "),
    },
  ];
}

function incidents({ incidents: counts, at }) {
  return Object.entries(INCIDENTS)
    .map(([kind, told]) => ({ ...counts[kind], told }))
    .filter(({ count: times, lastAt }) => times > 0 && at - lastAt < REMEMBERED_MS)
    .map(({ count: times, lastAt, told: [noun, text] }) => ({
      level: WARNING,
      title: `${counted(count(times), times, noun)} since the start`,
      last: lastAt,
      text,
    }));
}

function headline({ isReady }, problems) {
  if (!isReady) return "Not ready: no new traffic should come here";
  return problems.length === 0
    ? "All is well"
    : `Ready, with ${counted(problems.length, problems.length, "problem")}`;
}

function summary(problems) {
  const more = problems.length - MAX_SHOWN;
  if (more > 0) return `The ${MAX_SHOWN} worst are listed; ${count(more)} more are in the tables below.`;
  return problems.length > 0 ? "" : "No backend fails, and no request has failed in the last five minutes.";
}

const byId = (id) => document.getElementById(id);

/**
 * Shows whether the gateway is well, and what is wrong.
 *
 * A screen reader reads the region when it changes: durations, which change each second, are hidden from it.
 */
export function showHealth(view) {
  const problems = problemsOf(view);
  const isBad = problems.some(({ level }) => level === BAD) || !view.isReady;
  byId("health").dataset.level = problems.length === 0 ? "good" : isBad ? "bad" : "warning";
  setText(byId("health-title"), headline(view, problems));
  setText(byId("health-summary"), summary(problems));
  const title = problems.length === 0 ? "sluice" : `(${problems.length}) sluice`;
  if (document.title !== title) document.title = title;
  const list = byId("troubles");
  const shown = problems.slice(0, MAX_SHOWN);
  while (list.children.length > shown.length) list.lastElementChild.remove();
  while (list.children.length < shown.length) list.append(emptyItem());
  for (const [at, problem] of shown.entries()) showProblem(list.children[at], problem, view.at);
}

function emptyItem() {
  const item = document.createElement("li");
  for (const name of ["title", "since", "span", "text"]) {
    const part = document.createElement("span");
    part.className = `trouble-${name}`;
    if (name === "span") part.ariaHidden = "true";
    item.append(part);
  }
  return item;
}

function showProblem(item, { level, title, since, last, text }, now) {
  item.dataset.level = level === BAD ? "bad" : "warning";
  const [titlePart, sincePart, spanPart, textPart] = item.children;
  const at = since ?? last;
  setText(titlePart, title);
  setText(sincePart, at === undefined ? "" : `${since === undefined ? "last at" : "since"} ${moment(at)}`);
  setText(spanPart, at === undefined ? "" : `${duration(now - at)}${since === undefined ? " ago" : ""}`);
  setText(textPart, text);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
