import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { ProxyError } from "../base/errors.ts";
import { removeField } from "../base/fields.ts";
import type { EndReason } from "../base/outcome.ts";
import type { ResponseHead } from "../stream/response-head.ts";
import { type BackendRequest, DialTimers, failure, responseFault } from "../upstream/dial.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { requestUpgrade } from "./http-proxy.ts";
import { relayRefusal } from "./refusal.ts";
import { watchTunnel } from "./tunnel.ts";
import { WaitingClient } from "./waiting-client.ts";
import { handshakeFields } from "./websocket.ts";

/** A WebSocket upgrade that may go to the backend. */
export interface Upgrade {
  readonly socket: Socket;
  /** What came with the request's head. */
  readonly head: Buffer;
  readonly upstream: Upstream;
  readonly request: Pick<BackendRequest, "path" | "fields">;
  /** Called once, when the backend has answered; returns the head for the client. */
  onAnswer(response: IncomingMessage): ResponseHead;
}

/** How an upgrade ended. */
export interface UpgradeOutcome {
  /** What the client was answered; 101 for a tunnel, 499 when it left before. */
  readonly status: number;
  readonly endReason: EndReason;
  /** Body or tunnel bytes for the client. */
  readonly bytesSent: number;
}

/**
 * Passes a WebSocket upgrade on and resolves when the tunnel, or the backend's refusal, is over.
 *
 * Rejects with a ProxyError when there was no answer; the client's socket is then still open and unwritten.
 */
export function passUpgrade({ socket, head, upstream, request, onAnswer }: Upgrade): Promise<UpgradeOutcome> {
  return new Promise((resolve, reject) => {
    const client = new WaitingClient(socket, head);
    const backend = requestUpgrade(
      {
        client: socket,
        backend: upstream.backend,
        path: request.path,
        fields: handshakeFields(request.fields),
      },
      {
        switching(response) {
          timers.clear();
          client.release();
          return switchingFields(onAnswer(response));
        },
        open(backendSocket) {
          void watchTunnel(socket, backendSocket).then((end) => resolve({ status: 101, ...end }));
        },
      },
    );
    const timers = new DialTimers(backend, upstream);
    client.onceGone(() => {
      timers.clear();
      resolve({ status: 499, endReason: "client_gone", bytesSent: 0 });
      backend.destroy();
    });
    backend.on("response", (response) => {
      timers.clear();
      const fault = responseFault(response);
      if (fault !== undefined) {
        backend.destroy(new ProxyError("backend_protocol_error", fault));
        return;
      }
      client.release();
      const answer = onAnswer(response);
      void relayRefusal(socket, response, answer, upstream.responseHeaderTimeoutMs).then((end) =>
        resolve({ status: answer.status, ...end }),
      );
    });
    // Node reports here what breaks before an answer; later breakdowns are the sockets' own.
    backend.on("error", (error) => {
      timers.clear();
      client.release();
      reject(failure(error, backend, timers));
    });
  });
}

/** The fields of a 101: those of any answer, the two that make it one, and nothing that frames a body. */
function switchingFields({ fields }: ResponseHead): string[] {
  return ["Upgrade", "websocket", "Connection", "Upgrade", ...removeField(fields, "content-length")];
}
