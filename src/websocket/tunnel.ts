import type { Socket } from "node:net";
import { type FaultOwner, guarded } from "../base/guard.ts";
import type { EndReason } from "../base/outcome.ts";

/**
 * How long a tunnel that one side has ended may stay silent.
 *
 * WebSocket has no half-closed state: after its closing handshake both sides close. A peer that does not
 * would keep two sockets for good. While both halves are open there is no timer at all.
 */
const HALF_CLOSED_MS = 30_000;

/** How a tunnel ended. */
export interface TunnelEnd {
  readonly endReason: EndReason;
  /** Bytes that the backend gave to the client. */
  readonly bytesSent: number;
}

/**
 * Sees two sockets, which are piped into each other, to their end, and resolves when both are closed. `owner` ends
 * with a fault of these callbacks.
 *
 * Pipes pass an orderly end on and hold the faster side back. What they do not pass on is a breakdown: one
 * side would wait for the other for ever.
 */
export function watchTunnel(
  client: Socket,
  backend: Socket,
  owner: FaultOwner,
  halfClosedMs = HALF_CLOSED_MS,
): Promise<TunnelEnd> {
  let endReason: EndReason | undefined;
  let bytesSent = 0;
  const ended = (reason: EndReason) => {
    // The first reason stands; what follows is its consequence.
    endReason ??= reason;
    for (const socket of [client, backend]) {
      socket.setTimeout(halfClosedMs, () => socket.destroy());
    }
  };
  const guard = (callback: () => void) => guarded((error) => owner.fault(error), callback);
  backend.on("data", (chunk: Buffer) => {
    bytesSent += chunk.length;
  });
  client.once(
    "end",
    guard(() => ended("client_gone")),
  );
  backend.once(
    "end",
    guard(() => ended("completed")),
  );
  // Each `close` that follows an error says what there is to do; without a listener the error would be thrown.
  client.on("error", () => client.destroy());
  backend.on("error", () => backend.destroy());
  return new Promise((resolve) => {
    const closed = () => {
      if (client.closed && backend.closed) resolve({ endReason: endReason ?? "completed", bytesSent });
    };
    const clientClosed = () => {
      endReason ??= "client_gone";
      backend.destroy();
      closed();
    };
    client.once("close", guard(clientClosed));
    const backendClosed = () => {
      const isOrderly = backend.readableEnded && backend.errored === null;
      endReason ??= "backend_failed";
      // After an orderly end the client still has to get what is on its way to it. The pipe has stopped to read it:
      // nothing would tell that it has left.
      if (isOrderly) client.resume();
      else client.destroy();
      closed();
    };
    backend.once("close", guard(backendClosed));
  });
}
