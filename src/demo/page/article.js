import { gateway } from "./gateway.js";

const url = `${gateway}/article/stream`;

const { signer, EventSourcePolyfill } = globalThis;
const byId = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
let source;
let connects = 0;

/** As the article signs, with the signer of the API gateway's SDK. */
function sign() {
  const request = new signer.HttpRequest("GET", url);
  const sig = new signer.Signer();
  sig.Key = byId("key").value;
  sig.Secret = byId("secret").value;
  const { headers } = sig.Sign(request);
  connects += 1;
  byId("connects").textContent = connects;
  byId("signed").textContent = headers["X-Sdk-Date"];
  byId("authorization").textContent = headers.Authorization;
  // A browser writes Host itself, and ours would be dropped with a warning.
  delete headers.host;
  return headers;
}

function open() {
  source?.close();
  showState("connecting");
  source = new EventSourcePolyfill(url, { headers: sign() });
  // The polyfill reads its headers at each connect. The article's, signed once, are refused after 15 minutes.
  Object.defineProperty(source, "headers", { get: sign });
  source.onopen = () => showState("live");
  source.onerror = onError;
  source.onmessage = (event) => {
    byId("clock").textContent = clock.format(Date.parse(event.data));
    byId("last-id").textContent = event.lastEventId;
  };
}

/** The polyfill comes back by itself, except after an answer that was no stream: a wrong secret is a 401. */
function onError(event) {
  if (source.readyState !== EventSourcePolyfill.CLOSED) return showState("reconnecting");
  const isAnswer = event.status !== undefined;
  showState("closed", isAnswer ? `${event.status}, request ${event.headers.get("X-Request-Id")}` : "");
}

function showState(state, note = "") {
  byId("state").textContent = state;
  byId("state").dataset.state = state;
  byId("answer").textContent = note;
}

byId("credentials").addEventListener("submit", (event) => {
  event.preventDefault();
  open();
});
byId("cut").addEventListener("click", () => fetch(`${gateway}/stream/cut`, { method: "POST" }));
open();
