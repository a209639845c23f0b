import type { StreamConfig } from "../config/route-schema.ts";

/** The shortest comment line. No empty line follows it: some decoders would dispatch an empty event. */
export const HEARTBEAT = Buffer.from(":\n");

/**
 * Returns the lines before the first event, empty if the route has none: HTTP/2 hops hold a response head back until a
 * byte of the body follows. `retryMs` is the reconnection time to send if the route sets none.
 */
export function openingLines(
  { retry, prelude, padding }: Pick<StreamConfig, "retry" | "prelude" | "padding">,
  retryMs?: number,
): string {
  const time = retry ?? retryMs;
  return (
    (prelude ? ":\n" : "") +
    (padding > 0 ? `:${" ".repeat(Math.max(0, padding - 2))}\n` : "") +
    (time === undefined ? "" : `retry: ${time}\n\n`)
  );
}
