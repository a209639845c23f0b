import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { underlyingSocket } from "./underlying-socket.ts";

/** The time, in ms, from the client's end to the first look; each further one comes after three times the last wait. */
const FIRST_WAIT_MS = 10;
const WAIT_FACTOR = 3;
const MAX_WAIT_MS = 1_000;

/**
 * Destroys a TLS connection on which no write ends any more, once its client has ended its half.
 *
 * Node loses the error of a write that TLS makes for itself, such as that of the session tickets behind a handshake, and
 * holds back every later write behind the failed one. The failed write has also taken the error from the kernel, so that
 * the next read reports the end of the client's half and not its reset: a client that resets its connection right behind
 * its request looked like one that reads on.
 *
 * - Assumed of Node 20, 22 and 24: `writeQueueSize` of a socket's `_handle` is the number of bytes that the kernel has
 *   not taken yet. A write of a TLS socket that does not end either has such bytes in the socket below, or goes on in
 *   the next turn of the event loop.
 * - Without it: the file, the response and its places stay for `limits.halfCloseTimeout` or `stream.sendTimeout`, and
 *   for ever where these are off.
 * - Can go when Node reports that error.
 */
export function destroyIfWritesHang(socket: TLSSocket): void {
  socket.on("end", onEnd);
}

function onEnd(this: TLSSocket): void {
  const below = underlyingSocket(this);
  if (below !== undefined) lookLater(this, below, FIRST_WAIT_MS);
}

/** `sentBefore`: the bytes that the socket below had been given at the last look. */
function lookLater(socket: TLSSocket, below: Socket, waitMs: number, sentBefore?: number): void {
  const look = () => {
    if (socket.destroyed) return;
    const sent = below.bytesWritten;
    if (sent === sentBefore && socket.writableLength > 0 && queuedBytes(below) === 0) socket.destroy();
    else lookLater(socket, below, Math.min(waitMs * WAIT_FACTOR, MAX_WAIT_MS), sent);
  };
  setTimeout(look, waitMs).unref();
}

function queuedBytes(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & {
    readonly _handle?: { readonly writeQueueSize?: number } | null;
  };
  return handle?.writeQueueSize;
}
