import type { LiveStream } from "../exchange/live-stream.ts";

/** The part of the slow clients that is ended at a time; the next look at the heap shows its effect. */
const PART = 0.5;

/** Ends the streams with the most pending bytes, to free that memory; returns how many were ended. */
export function endSlowClients(streams: Iterable<LiveStream>): number {
  const behind = [...streams].filter(({ pendingBytes }) => pendingBytes > 0);
  behind.sort((a, b) => b.pendingBytes - a.pendingBytes);
  const ended = behind.slice(0, Math.ceil(behind.length * PART));
  for (const stream of ended) stream.abort("slow_client");
  return ended.length;
}
