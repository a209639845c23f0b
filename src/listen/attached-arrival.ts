import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type FaultHandler, guarded } from "../base/guard.ts";
import type { Release } from "../base/release.ts";
import { UNIX_PEER } from "../http/address.ts";
import { lastingConnections } from "../process/lasting-connections.ts";
import { isArrivalNoted, noteArrival } from "../request/arrival.ts";
import type { Runtime } from "../runtime/runtime.ts";

/**
 * Notes how a connection of the program around sluice came in, when it brings its first request for sluice. It counts
 * for `limits.connections`, and beyond the limit its requests are refused. `onFault` takes an error when it closes.
 */
export function noteAttachedSocket(socket: Socket, runtime: Runtime, onFault: FaultHandler): void {
  if (isArrivalNoted(socket)) return;
  // Each event must leave at once, even if the program has delays on.
  socket.setNoDelay(true);
  lastingConnections.add(socket);
  const leave = enter(socket, runtime);
  socket.once(
    "close",
    guarded(onFault, () => {
      lastingConnections.delete(socket);
      leave();
    }),
  );
}

/** The same for the connection of an HTTP/2 session, whose socket only Node may change. */
export function noteAttachedSession(
  session: ServerHttp2Session,
  runtime: Runtime,
  onFault: FaultHandler,
): void {
  if (!isArrivalNoted(session.socket))
    session.once("close", guarded(onFault, enter(session.socket, runtime)));
}

function enter(socket: Socket, { capacity }: Runtime): Release {
  const entered = capacity.enter();
  // Only workers count in another process, and an attached gateway has none.
  const admission = typeof entered === "string" ? entered : "served";
  const tls = socket instanceof TLSSocket;
  noteArrival(socket, { peer: peerOf(socket), tls, isOverflow: admission !== "served" });
  return () => capacity.leave(admission);
}

/**
 * Returns the address of the peer; undefined if a reset has removed it. Such a connection still has a local address,
 * unlike that of a unix socket, whose peer is trusted.
 */
function peerOf({ remoteAddress, localAddress, destroyed }: Socket): string | undefined {
  const isUnix = localAddress === undefined && !destroyed;
  return remoteAddress ?? (isUnix ? UNIX_PEER : undefined);
}
