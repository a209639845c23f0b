import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { EVENT_STREAM_FIELDS, encode } from "./feed.ts";

const MOST = 10_000;

/** `GET /burst?events=500`: sends so many numbered events at once, and then the event `done`. */
export async function burst(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const asked = Number(new URL(req.url ?? "", "http://backend").searchParams.get("events") ?? 500);
  const events = Number.isInteger(asked) ? Math.min(Math.max(asked, 1), MOST) : 500;
  res.writeHead(200, EVENT_STREAM_FIELDS);
  // A client that leaves must end the wait for `drain`.
  const left = new AbortController();
  res.once("close", () => left.abort());
  for (let number = 1; number <= events && !left.signal.aborted; number += 1) {
    const data = JSON.stringify({ number, sentAt: new Date().toISOString() });
    const isTaken = res.write(`id: ${number}\n${encode({ data })}`);
    if (!isTaken) await once(res, "drain", { signal: left.signal }).catch(() => undefined);
  }
  res.end(encode({ event: "done", data: JSON.stringify({ events }) }));
}
