/** The number of listed events. */
const SHOWN_EVENTS = 8;

const byId = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });

/** Shows the figures of all lanes, and the delays of the last events in each lane. */
export class Comparison {
  #lanes;
  #events = new Map();
  #due;

  /** `lanes` by technique, in the order of the columns. */
  constructor(lanes) {
    this.#lanes = lanes;
  }

  /** Shows changes at most every 50 ms. */
  show() {
    this.#due ??= setTimeout(() => {
      this.#due = undefined;
      this.#showNow();
    }, 50);
  }

  /** Shows no further changes, because the next comparison uses the page. */
  stop() {
    clearTimeout(this.#due);
    this.show = () => {};
  }

  #showNow() {
    for (const [name, lane] of Object.entries(this.#lanes)) {
      showFigures(name, lane);
      for (const event of lane.arrivals) this.#note(name, event);
    }
    const numbers = [...this.#events.keys()].sort((a, b) => b - a);
    for (const number of numbers.slice(SHOWN_EVENTS)) this.#events.delete(number);
    const rows = numbers.slice(0, SHOWN_EVENTS).map((number) => this.#row(number));
    byId("events").replaceChildren(...rows);
  }

  #note(name, { number, sentAt, at, requests }) {
    const newest = Math.max(0, ...this.#events.keys());
    if (number <= newest - SHOWN_EVENTS) return;
    const event = this.#events.get(number) ?? { sentAt, delays: {} };
    this.#events.set(number, event);
    event.delays[name] = Math.max(0, at - sentAt);
    if (number < newest) return;
    byId("backend-requests").textContent = requests;
  }

  #row(number) {
    const { sentAt, delays } = this.#events.get(number);
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = number;
    const cells = Object.keys(this.#lanes).map((name) => cell(delays[name]));
    const at = document.createElement("td");
    at.textContent = clock.format(sentAt);
    row.append(head, at, ...cells);
    return row;
  }
}

function cell(delayMs) {
  const element = document.createElement("td");
  element.textContent = delayMs === undefined ? "…" : ms(delayMs);
  if (delayMs === undefined) element.setAttribute("aria-label", "not received yet");
  return element;
}

function showFigures(name, { counts, delays }) {
  const set = (key, value) => {
    byId(`${name}-${key}`).textContent = value;
  };
  const sorted = delays.toSorted((a, b) => a - b);
  const { requests, empty, bytes, events } = counts;
  set("requests", requests.toLocaleString());
  set("empty", empty.toLocaleString());
  set("bytes", size(bytes));
  set("each", events === 0 ? "–" : size(bytes / events));
  set("events", events.toLocaleString());
  set("median", events === 0 ? "–" : ms(sorted[sorted.length >> 1]));
  set("slowest", events === 0 ? "–" : ms(sorted.at(-1)));
}

const ms = (value) => (value < 1 ? "< 1 ms" : `${Math.round(value).toLocaleString()} ms`);

const size = (bytes) => (bytes < 1000 ? `${Math.round(bytes)} B` : `${(bytes / 1000).toFixed(1)} kB`);
