import type { IncomingMessage, ServerResponse } from "node:http";
import { sendJson } from "./body.ts";
import { Feed } from "./feed.ts";

const HISTORY = 120;
const MEAN_GAP_MS = 2_000;
const LEAST_GAP_MS = 150;
const MOST_GAP_MS = 6_000;

/** Readings of an instrument at random moments: `GET /readings` receives them, `POST /readings` makes one now. */
export class Readings {
  readonly #feed = new Feed(HISTORY);
  #timer: NodeJS.Timeout;
  #number = 0;

  constructor() {
    this.#timer = this.#wait();
  }

  listen(req: IncomingMessage, res: ServerResponse): void {
    this.#feed.subscribe(req, res);
  }

  read(_req: IncomingMessage, res: ServerResponse): void {
    sendJson(res, 201, { number: this.#publish() });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#feed.close();
  }

  /** Waits for an exponentially distributed time, as between independent events: short bursts and long silences. */
  #wait(): NodeJS.Timeout {
    const gapMs = -Math.log(1 - Math.random()) * MEAN_GAP_MS;
    return setTimeout(
      () => {
        this.#publish();
        this.#timer = this.#wait();
      },
      Math.min(MOST_GAP_MS, Math.max(LEAST_GAP_MS, gapMs)),
    );
  }

  /** Publishes a reading with the time, for the delay, and with the number of requests that the backend has open. */
  #publish(): number {
    this.#number += 1;
    const sentAt = new Date().toISOString();
    this.#feed.publish({ data: JSON.stringify({ number: this.#number, sentAt, requests: this.#feed.size }) });
    return this.#number;
  }
}
