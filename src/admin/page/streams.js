import { bytes, count, duration, rate } from "./format.js";
import { createRows, elements, texts } from "./rows.js";

const PAGE_SIZE = 20;
const TOLD_MS = 4000;

const byId = (id) => document.getElementById(id);

/** Creates the table of streams; `onView` is called with the query of another page. */
export function createStreams(onView) {
  let offset = 0;
  const view = () =>
    new URLSearchParams({ offset, limit: PAGE_SIZE, sort: byId("sort").value, route: byId("route").value });
  const showRows = createRows(
    byId("streams"),
    [
      texts(({ route }) => route, { title: true }),
      texts(({ client, app }) => (app === undefined ? client : `${client} ${app}`), {
        className: "client",
        title: true,
      }),
      texts(({ backend }) => backend ?? "–", { className: "more", title: true }),
      texts(({ ageMs }) => duration(ageMs), { className: "number" }),
      texts(({ events }) => count(events), { className: "number more" }),
      texts(({ eventsPerSecond }) => rate(eventsPerSecond), { className: "number" }),
      texts((stream) => bytes(stream.bytes), { className: "number more" }),
      elements("button", showEnd, { className: "action" }),
    ],
    ({ id }) => id,
  );

  function turnTo(wanted) {
    offset = Math.max(0, wanted);
    onView(view());
  }
  byId("view").addEventListener("submit", (event) => event.preventDefault());
  byId("view").addEventListener("change", () => turnTo(0));
  byId("previous").addEventListener("click", () => turnTo(offset - PAGE_SIZE));
  byId("next").addEventListener("click", () => turnTo(offset + PAGE_SIZE));

  return {
    view,
    show(page, routes, open) {
      offset = page.offset;
      const held = document.activeElement;
      showRows(page.streams);
      // The row with the focused button is gone: the focus moves here for keyboard users.
      if (held?.dataset.stream !== undefined && !held.isConnected) byId("streams-title").focus();
      byId("streams-total").textContent = count(open ?? page.total);
      byId("streams-empty").hidden = page.total > 0;
      const last = page.offset + page.streams.length;
      byId("range").textContent =
        page.total === 0 ? "none" : `${page.offset + 1}–${last} of ${count(page.total)}`;
      byId("previous").disabled = page.offset === 0;
      byId("next").disabled = last >= page.total;
      offerRoutes(routes);
    },
  };
}

function offerRoutes(routes) {
  const select = byId("route");
  const names = routes.map(({ name }) => name);
  if (select.dataset.names === names.join(" ")) return;
  select.dataset.names = names.join(" ");
  const chosen = select.value;
  select.replaceChildren(new Option("all", ""), ...names.map((name) => new Option(name, name)));
  select.value = names.includes(chosen) ? chosen : "";
}

function showEnd(button, stream) {
  if (button.dataset.stream === stream.id) return;
  button.type = "button";
  button.dataset.stream = stream.id;
  button.textContent = "End";
  button.setAttribute("aria-label", `End the stream of ${stream.client} on ${stream.route}`);
  button.addEventListener("click", () => confirmEnd(stream));
}

function confirmEnd({ id, route, client }) {
  const dialog = byId("confirm");
  byId("confirm-text").textContent = `${route}, client ${client}, request ${id}`;
  dialog.returnValue = "keep";
  dialog.dataset.stream = id;
  dialog.showModal();
}

// One listener for all openings: `close` is late, and may come when the dialog is open again after Escape and Enter.
byId("confirm").addEventListener("close", ({ target }) => {
  if (target.returnValue === "end") void end(target.dataset.stream);
});

async function end(id) {
  try {
    const answer = await fetch(`/api/streams/${encodeURIComponent(id)}/end`, { method: "POST" });
    if (answer.ok) tell("The stream is ending.");
    else
      tell(
        answer.status === 404
          ? "The stream had already ended."
          : `Ending the stream failed with status ${answer.status}.`,
      );
  } catch {
    tell("The gateway cannot be reached.");
  }
}

let hide;

function tell(text) {
  const told = byId("told");
  told.textContent = text;
  told.classList.add("shown");
  clearTimeout(hide);
  hide = setTimeout(() => told.classList.remove("shown"), TOLD_MS);
}
