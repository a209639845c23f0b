import type { LiveStream } from "../exchange/live-stream.ts";

/** The part of them that is ended at a time; what that gives back shows at the next look. */
const PART = 0.5;

/** Ends those streams that are furthest behind, to have the memory of what waits for their clients; returns how many. */
export function endSlowClients(streams: Iterable<LiveStream>): number {
  const behind = [...streams].filter(({ pendingBytes }) => pendingBytes > 0);
  behind.sort((a, b) => b.pendingBytes - a.pendingBytes);
  const ended = behind.slice(0, Math.ceil(behind.length * PART));
  for (const stream of ended) stream.abort("slow_client");
  return ended.length;
}
