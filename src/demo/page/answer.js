import { NamedRequest, randomName } from "./named-request.js";

/** The time without a connection after a cut, in which the model goes on. */
const AWAY_MS = 2000;
const RETRY_MS = 1000;
/** Attempts in a row that bring no word; then the answer counts as broken. */
const MOST_ATTEMPTS = 5;
/** Storage of this tab, which outlives a reload. */
const STORED = "answer";

const byId = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** An answer that survives its client: the page asks, loses its connection or reloads, and attaches again. */
export function startAnswer(gateway) {
  let reader;

  function start(names, isNew) {
    sessionStorage.setItem(STORED, JSON.stringify(names));
    reader = new AnswerReader(gateway, names);
    void reader.run(isNew);
  }

  byId("answer-ask").addEventListener("click", () =>
    start({ key: randomName(), visitor: randomName() }, true),
  );
  byId("answer-cut").addEventListener("click", () => reader.cut());
  byId("answer-reload").addEventListener("click", () => location.reload());
  byId("answer-cancel").addEventListener("click", () => reader.cancel());
  const stored = sessionStorage.getItem(STORED);
  if (stored !== null) start(JSON.parse(stored), false);
}

/** Reads one answer over as many connections as it takes, and shows it. */
class AnswerReader {
  #gateway;
  #request;
  #connection = new AbortController();
  #isCut = false;
  #isCancelled = false;
  #connections = 0;
  #words = 0;

  constructor(gateway, names) {
    this.#gateway = gateway;
    this.#request = new NamedRequest(gateway, names);
  }

  /** Asks, or attaches to an answer that the page asked for before it was reloaded. */
  async run(isNew) {
    byId("answer").textContent = "";
    byId("answer-elsewhere").hidden = true;
    byId("answer-from").textContent = "–";
    byId("answer-requests").textContent = "–";
    let open = (signal) => (isNew ? this.#request.ask(signal) : this.#request.attach(signal));
    for (let attempt = 1; !this.#isCancelled; attempt++) {
      const before = this.#words;
      const end = await this.#read(open);
      if (this.#isCancelled) return;
      if (end !== undefined) return show(end, false);
      if (this.#words > before || this.#isCut) attempt = 0;
      if (attempt === MOST_ATTEMPTS) return show("broken off", false);
      show("not connected", true);
      await sleep(this.#isCut ? AWAY_MS : RETRY_MS);
      this.#isCut = false;
      open = (signal) => this.#request.attach(signal);
    }
  }

  cut() {
    this.#isCut = true;
    this.#connection.abort();
  }

  async cancel() {
    this.#isCancelled = true;
    this.#connection.abort();
    sessionStorage.removeItem(STORED);
    const response = await this.#request.cancel().catch(() => undefined);
    show(response?.ok ? "cancelled" : "not cancelled: no connection", false);
  }

  /** Reads one connection; returns the state in which the answer has ended, or undefined if only the connection has. */
  async #read(open) {
    this.#connection = new AbortController();
    this.#connections += 1;
    this.#showFigures();
    show(this.#words === 0 ? "waiting for the model" : "connecting", true);
    try {
      const response = await open(this.#connection.signal);
      if (response.status === 204) {
        sessionStorage.removeItem(STORED);
        return "not kept any more";
      }
      if (response.status !== 200) return response.status < 500 ? `status ${response.status}` : undefined;
      this.#showResponse(response.headers);
      const part = byId("answer").appendChild(document.createElement("span"));
      for await (const word of this.#request.words(response)) {
        part.append(word);
        this.#words += 1;
        this.#showFigures();
      }
      return "whole";
    } catch {
      return undefined;
    }
  }

  #showResponse(headers) {
    show("answering", true);
    byId("answer-requests").textContent = headers.get("X-Model-Requests") ?? "–";
    byId("answer-from").textContent = headers.get("Sluice-Resumed-From") ?? "–";
    const location = headers.get("Location");
    byId("answer-elsewhere").hidden = location === null;
    byId("answer-curl").textContent = `curl -N '${this.#gateway}${location}'`;
  }

  #showFigures() {
    byId("answer-connections").textContent = this.#connections;
    byId("answer-words").textContent = this.#words;
  }
}

function show(state, isRunning) {
  byId("answer-state").textContent = state;
  byId("answer-ask").disabled = isRunning;
  byId("answer-ask").textContent = isRunning ? "Ask" : "Ask again";
  for (const name of ["cut", "cancel"]) byId(`answer-${name}`).disabled = !isRunning;
  byId("answer-reload").disabled = false;
}
