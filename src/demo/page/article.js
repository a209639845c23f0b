import { gateway } from "./gateway.js";

const url = `${gateway}/article/stream`;

const { signer, EventSourcePolyfill } = globalThis;
const byId = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });
let source;
let connects = 0;

/** Signs as the article does, with the signer of the API gateway's SDK. */
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
  // The browser sets Host itself, and would ignore this field with a warning.
  delete headers.host;
  return headers;
}

function open() {
  source?.close();
  showState("connecting");
  source = new EventSourcePolyfill(url, { headers: sign() });
  // The polyfill reads `headers` at each connect. Headers signed once, as in the article, are refused after 15 minutes.
  Object.defineProperty(source, "headers", { get: sign });
  source.onopen = () => showState("live");
  source.onerror = onError;
  source.onmessage = (event) => {
    byId("clock").textContent = clock.format(Date.parse(event.data));
    byId("last-id").textContent = event.lastEventId;
  };
}

/** The polyfill reconnects by itself, except after a response that is not a stream, such as 401 for a wrong secret. */
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
