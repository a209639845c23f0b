import { bytes, count, duration, moment } from "./format.js";
import { createRows, elements, pairs, texts } from "./rows.js";
import { offerRoutes, PAGE_SIZE } from "./streams.js";
import { END_REASONS, TROUBLE, words } from "./words.js";

const byId = (id) => document.getElementById(id);

/** Creates the table of ended streams; `onView` is called when another route or reason is chosen. */
export function createEnds(onView) {
  let now = 0;
  const showRows = createRows(
    byId("ends"),
    [
      elements("time", (element, { endedAt }) => {
        element.dateTime = new Date(endedAt).toISOString();
        element.title = moment(endedAt);
        element.textContent = duration(now - endedAt);
      }),
      pairs(
        ({ route }) => route,
        ({ path }) => path,
      ),
      elements("span", (element, { reason }) => {
        element.className = TROUBLE.has(reason) ? "tag trouble" : "tag";
        element.textContent = words(reason);
      }),
      texts(clientOf, clientOf),
      texts(backendOf, backendOf),
      texts(({ durationMs }) => duration(durationMs)),
      texts(({ events }) => count(events)),
      texts((stream) => bytes(stream.bytes)),
    ],
    ({ id, endedAt }) => `${id} ${endedAt}`,
  );
  const chips = createChips();
  byId("end-view").addEventListener("submit", (event) => event.preventDefault());
  byId("end-view").addEventListener("change", onView);
  byId("reasons").addEventListener("change", onView);

  return {
    view: () => ({ endRoute: byId("end-route").value, endReason: chips.chosen() }),
    show({ at, ends, endCounts, routes }) {
      now = at;
      showRows(ends.slice(0, PAGE_SIZE));
      byId("ends-empty").hidden = ends.length > 0;
      chips.show(endCounts);
      offerRoutes(byId("end-route"), routes);
    },
  };
}

const clientOf = ({ client }) => client;
const backendOf = ({ backend }) => backend ?? "–";

/** Creates the choice of a reason, with the number of streams that ended for it. */
function createChips() {
  const chips = new Map(["", ...END_REASONS].map((reason) => [reason, createChip(reason)]));
  byId("reasons").append(...[...chips.values()].map(({ label }) => label));
  chips.get("").input.checked = true;
  return {
    chosen: () => [...chips.values()].find(({ input }) => input.checked).input.value,
    show(counts) {
      const all = Object.values(counts).reduce((sum, value) => sum + value, 0);
      for (const [reason, { label, input, number }] of chips) {
        const value = reason === "" ? all : (counts[reason] ?? 0);
        label.hidden = value === 0 && reason !== "" && !input.checked;
        number.textContent = count(value);
      }
    },
  };
}

function createChip(reason) {
  const label = document.createElement("label");
  label.className = TROUBLE.has(reason) ? "chip trouble" : "chip";
  const input = Object.assign(document.createElement("input"), {
    type: "radio",
    name: "reason",
    value: reason,
  });
  const number = document.createElement("b");
  label.append(input, `${reason === "" ? "all" : words(reason)} `, number);
  return { label, input, number };
}
