import { showEnd } from "./end-stream.js";
import { bytes, count, delay, duration, rate } from "./format.js";
import { createRows, elements, pairs, texts } from "./rows.js";

/** How many streams a list shows; less on a narrow screen, where each takes several lines. */
export const PAGE_SIZE = matchMedia("(max-width: 60rem)").matches ? 10 : 20;

/** The number of streams on all pages together; the gateway sends no later ones. */
const REACH = 500;

const byId = (id) => document.getElementById(id);

/** Creates the table of streams; `onView` is called when another page is wanted. */
export function createStreams(onView) {
  let offset = 0;
  const showRows = createRows(
    byId("streams"),
    [
      pairs(
        ({ route }) => route,
        ({ path }) => path,
      ),
      pairs(
        ({ client }) => client,
        ({ app }) => app,
      ),
      texts(backendOf, backendOf),
      texts(({ ageMs }) => duration(ageMs)),
      texts(
        ({ firstEventMs }) => delay(firstEventMs),
        ({ firstEventMs }) => (firstEventMs === undefined ? "No event yet" : ""),
      ),
      texts(({ events }) => count(events)),
      texts(({ eventsPerSecond }) => rate(eventsPerSecond)),
      texts((stream) => bytes(stream.bytes)),
      elements("span", (element, { pendingBytes }, cell) => {
        element.textContent = bytes(pendingBytes);
        cell.classList.toggle("some", pendingBytes > 0);
      }),
      elements("button", showEnd),
    ],
    ({ id }) => id,
  );

  function turnTo(wanted) {
    offset = Math.max(0, wanted);
    onView();
  }
  byId("view").addEventListener("submit", (event) => event.preventDefault());
  byId("view").addEventListener("change", () => turnTo(0));
  byId("previous").addEventListener("click", () => turnTo(offset - PAGE_SIZE));
  byId("next").addEventListener("click", () => turnTo(offset + PAGE_SIZE));

  return {
    view: () => ({ offset, limit: PAGE_SIZE, sort: byId("sort").value, route: byId("route").value }),
    show({ streams: page, routes, sample }) {
      offset = page.offset;
      const held = document.activeElement;
      showRows(page.streams);
      // The row with the focused button is gone: the focus moves here for keyboard users.
      if (held?.dataset.stream !== undefined && !held.isConnected) byId("streams-title").focus();
      byId("streams-total").textContent = count(sample?.streams ?? page.total);
      byId("streams-empty").hidden = page.total > 0;
      showPager(page);
      offerRoutes(byId("route"), routes);
    },
  };
}

const backendOf = ({ backend }) => backend ?? "–";

function showPager({ offset, streams, total }) {
  const last = offset + streams.length;
  byId("range").textContent = total === 0 ? "none" : `${offset + 1}–${last} of ${count(total)}`;
  byId("previous").disabled = offset === 0;
  byId("next").disabled = last >= Math.min(total, REACH);
  byId("pager").classList.toggle("needless", total <= PAGE_SIZE);
  byId("reach").hidden = last < REACH || last >= total;
}

/** Offers the routes in a select; keeps the chosen one. */
export function offerRoutes(select, routes) {
  const names = routes.map(({ name }) => name);
  if (select.dataset.names === names.join(" ")) return;
  select.dataset.names = names.join(" ");
  const chosen = select.value;
  select.replaceChildren(new Option("all", ""), ...names.map((name) => new Option(name, name)));
  select.value = names.includes(chosen) ? chosen : "";
}
