import type { IncomingMessage, ServerResponse } from "node:http";
import { sendJson } from "./body.ts";
import { Feed } from "./feed.ts";

const HISTORY = 120;
const MEAN_GAP_MS = 2_000;
const LEAST_GAP_MS = 150;
const MOST_GAP_MS = 6_000;

/** Readings of an instrument at moments that nobody can foretell: `GET /readings` to listen, POST for one now. */
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

  /** Drawn as arrivals that know nothing of each other: now and then a few in a row, then a long silence. */
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

  /** With the moment, for the delay, and with how many requests the backend has open for all who listen. */
  #publish(): number {
    this.#number += 1;
    const sentAt = new Date().toISOString();
    this.#feed.publish({ data: JSON.stringify({ number: this.#number, sentAt, requests: this.#feed.size }) });
    return this.#number;
  }
}
