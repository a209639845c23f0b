import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";

/** How long, in ms, a native session is kept after the end of its connection. */
const KEPT_MS = 10_000;

interface Held {
  native: unknown;
}

/** Holds the native session of each stream until the stream is collected. */
const sessions = new FinalizationRegistry<Held>(() => {});

/**
 * Returns a function that keeps the native session in memory until the given stream is collected, at most `keptMs`
 * after the end of the connection; to be called with each stream of the session.
 *
 * A native stream owns the trailer fields of a header block whose end has not come. If it is destroyed while a write
 * of its bytes is under way, only the garbage collector frees it. Session and stream are then collected together, and
 * if the session is first, its destructor finds memory in use and aborts the process (`~Http2Session: Assertion failed:
 * (current_nghttp2_memory_) == (0)`). So a client could end the process: it sends a part of its trailers and reads no
 * response until its connection is ended. A request whose HEADERS frame has END_STREAM has no trailers.
 *
 * The time is bounded, because a connection that was closed in the middle of a write keeps that write in its native
 * session, and by it the stream: neither would ever be collected.
 *
 * - Assumed of Node 20, 22 and 24: the native session is in the session's property with the symbol `kHandle`; the
 *   native stream refers to its ServerHttp2Stream, so it is collected no later than that.
 * - Without it: such a client ends the process and all its streams.
 * - Can go when a native stream releases its fields at its destruction, also with a write under way.
 */
export function keepSessionInMemory(
  session: ServerHttp2Session,
  keptMs = KEPT_MS,
): (stream: ServerHttp2Stream) => void {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === "kHandle");
  const native = symbol === undefined ? undefined : (Reflect.get(session, symbol) as unknown);
  const held: Held = { native };
  session.once("close", () => setTimeout(release, keptMs, new WeakRef(held)).unref());
  return (stream) => {
    if (!stream.endAfterHeaders) sessions.register(stream, held);
  };
}

/** The timer refers to `held` weakly, or it would keep each session for the whole time. */
function release(held: WeakRef<Held>): void {
  const found = held.deref();
  if (found !== undefined) found.native = undefined;
}
