import type { IncomingMessage, ServerResponse } from "node:http";
import { readJson, sendJson } from "./body.ts";
import { Feed } from "./feed.ts";

const HISTORY = 50;
const SHOWN_TO_NEWCOMERS = 20;
const MAX_NAME = 24;
const MAX_TEXT = 500;

/** A chat room: `GET /chat/events` receives messages, `POST /chat/messages` sends one. */
export class Chat {
  readonly #feed = new Feed(HISTORY);

  listen(req: IncomingMessage, res: ServerResponse): void {
    this.#feed.subscribe(req, res, { recent: SHOWN_TO_NEWCOMERS });
    this.#announcePresence();
    res.once("close", () => this.#announcePresence());
  }

  async speak(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await readJson(req, res);
    if (body === undefined) return;
    const name = line(body["name"], MAX_NAME);
    const text = line(body["text"], MAX_TEXT);
    if (name === undefined || text === undefined) {
      const error = `expected {"name": up to ${MAX_NAME} characters, "text": up to ${MAX_TEXT}}`;
      return sendJson(res, 422, { error });
    }
    this.#feed.publish({ data: JSON.stringify({ name, text, sentAt: new Date().toISOString() }) });
    sendJson(res, 202, { ok: true });
  }

  close(): void {
    this.#feed.close();
  }

  #announcePresence(): void {
    this.#feed.announce({ event: "presence", data: JSON.stringify({ online: this.#feed.size }) });
  }
}

function line(value: unknown, limit: number): string | undefined {
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  return text !== "" && text.length <= limit ? text : undefined;
}
