const TOLD_MS = 4000;

const byId = (id) => document.getElementById(id);

/** Shows the button that ends a stream. */
export function showEnd(button, stream) {
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
