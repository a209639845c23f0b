import type { StreamConfig } from "../config/route-schema.ts";

/** The shortest comment. No empty line behind it: some decoders dispatch an empty event there. */
export const HEARTBEAT = Buffer.from(":\n");

/**
 * What goes out before the first event, empty if the route wants nothing: HTTP/2 hops hold a head until a byte
 * of body follows it. `retryMs` is the reconnection time to send where the route does not say one.
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
