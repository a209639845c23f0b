import type { IncomingMessage, ServerResponse } from "node:http";
import { Feed } from "./feed.ts";

const USERS = ["John123", "mei", "Amara", "Lukas", "Sofía"] as const;
const LOGIN_EVERY_TICKS = 7;
/** Events of about two minutes, for reconnecting clients. */
const HISTORY = 120;

/** `GET /stream`: the time every second, and sometimes a named event. */
export class Clock {
  readonly #feed = new Feed(HISTORY);
  readonly #timer: NodeJS.Timeout;
  #ticks = 0;

  constructor() {
    this.#timer = setInterval(() => this.#tick(), 1000);
  }

  stream(req: IncomingMessage, res: ServerResponse): void {
    this.#feed.subscribe(req, res);
  }

  /** `GET /stream/unmarked`: the same stream without `X-Accel-Buffering`, as most backends send it. */
  unmarked(req: IncomingMessage, res: ServerResponse): void {
    this.#feed.subscribe(req, res, { fields: { "Content-Type": "text/event-stream" } });
  }

  /** `POST /stream/cut`: aborts every stream, as a crash of the backend does. */
  cut(_req: IncomingMessage, res: ServerResponse): void {
    this.#feed.cut();
    res.writeHead(204).end();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#feed.close();
  }

  #tick(): void {
    // With milliseconds, so that a client on the same machine can measure the delay.
    this.#feed.publish({ data: new Date().toISOString() });
    this.#ticks += 1;
    if (this.#ticks % LOGIN_EVERY_TICKS !== 2) return;
    const username = USERS[Math.floor(this.#ticks / LOGIN_EVERY_TICKS) % USERS.length];
    this.#feed.publish({ event: "userlogin", data: JSON.stringify({ username }) });
  }
}
