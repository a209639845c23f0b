import type { Socket } from "node:net";
import { type FaultOwner, guarded } from "../base/guard.ts";
import type { EndReason } from "../base/outcome.ts";

/** How a tunnel ended. */
export interface TunnelEnd {
  readonly endReason: EndReason;
  /** Bytes from the backend to the client. */
  readonly bytesSent: number;
  /** Bytes from the client, without those that came together with its request. */
  readonly bytesReceived: number;
}

/** How a tunnel treats a side that has ended its half. */
export interface HalfClose {
  /** How long, in ms, the tunnel may then be silent; undefined for no limit. */
  readonly maxSilenceMs: number | undefined;
  /** Whether a client may end its half and read on, as `docker exec -i` does. A WebSocket client has left. */
  readonly isOrdinary: boolean;
}

/**
 * Watches two sockets that are piped into each other, and resolves when both are closed. A fault in its callbacks ends
 * `owner`.
 *
 * When one side ends its half, the other half goes on. Its silence is bounded, because a peer that never closes would
 * keep two sockets for ever. While both halves are open there is no timer.
 *
 * Pipes forward an orderly end and apply back-pressure. They do not forward an error: one side would wait for the other
 * for ever.
 */
export function watchTunnel(
  client: Socket,
  backend: Socket,
  owner: FaultOwner,
  { maxSilenceMs, isOrdinary }: HalfClose,
): Promise<TunnelEnd> {
  let endReason: EndReason | undefined;
  let bytesSent = 0;
  const readBefore = client.bytesRead;
  const guard = (callback: () => void) => guarded((error) => owner.fault(error), callback);
  const ended = (reason: EndReason | undefined) => {
    // The first reason stands; later ones are its consequences.
    endReason ??= reason;
    if (maxSilenceMs === undefined) return;
    const onSilence = () => {
      endReason ??= "client_gone";
      client.destroy();
      backend.destroy();
    };
    for (const socket of [client, backend]) socket.setTimeout(maxSilenceMs, guard(onSilence));
  };
  backend.on("data", (chunk: Buffer) => {
    bytesSent += chunk.length;
  });
  client.once(
    "end",
    guard(() => ended(isOrdinary ? undefined : "client_gone")),
  );
  backend.once(
    "end",
    guard(() => ended("completed")),
  );
  // After an error `close` follows; without a listener the error would be thrown.
  client.on("error", () => client.destroy());
  backend.on("error", () => backend.destroy());
  return new Promise((resolve) => {
    const closed = () => {
      if (!client.closed || !backend.closed) return;
      const bytesReceived = client.bytesRead - readBefore;
      resolve({ endReason: endReason ?? "completed", bytesSent, bytesReceived });
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
      // After an orderly end the client still gets what is on its way. The pipe no longer reads from the client, so
      // without `resume` its end would go unnoticed.
      if (isOrderly) client.resume();
      else client.destroy();
      closed();
    };
    backend.once("close", guard(backendClosed));
  });
}
