import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { removeField } from "../base/fields.ts";
import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../pipeline/exchange.ts";
import type { ResponseHead } from "../stream/response-head.ts";
import { attempt } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import type { BackendRequest } from "../upstream/dial.ts";
import { DialError } from "../upstream/dial-error.ts";
import { DialWatch, responseFault } from "../upstream/dial-watch.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { requestUpgrade } from "./http-proxy.ts";
import { relayRefusal } from "./refusal.ts";
import { watchTunnel } from "./tunnel.ts";
import { WaitingClient } from "./waiting-client.ts";
import { handshakeFields } from "./websocket.ts";

/** A WebSocket upgrade that may go to a backend. */
export interface Upgrade {
  readonly exchange: Exchange;
  readonly socket: Socket;
  /** What came with the request's head. */
  readonly head: Buffer;
  readonly upstream: Upstream;
  requestFor(backend: Backend): Pick<BackendRequest, "path" | "fields">;
  /** Called once, when a backend has answered; returns the head for the client. */
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

/** A backend that has answered; `outcome` comes when the tunnel, or its refusal, is over. */
interface AnsweredUpgrade {
  readonly outcome: Promise<UpgradeOutcome>;
}

/**
 * Passes a WebSocket upgrade on and resolves when the tunnel, or the backend's refusal, is over.
 *
 * An upgrade that could not leave goes to another backend. Rejects with a ProxyError when there was no
 * answer; the client's socket is then still open and unwritten.
 */
export async function passUpgrade(upgrade: Upgrade): Promise<UpgradeOutcome> {
  const client = new WaitingClient(upgrade.socket, upgrade.head);
  try {
    const { outcome } = await attempt<AnsweredUpgrade>({
      exchange: upgrade.exchange,
      upstream: upgrade.upstream,
      isRepeatable: false,
      isClientGone: () => upgrade.socket.destroyed,
      send: (backend, _isAlone, answered, failed) => {
        sendUpgrade(upgrade, client, backend).then(answered, failed);
      },
    });
    return await outcome;
  } catch (error) {
    if (error instanceof DialError && upgrade.socket.destroyed)
      return { status: 499, endReason: "client_gone", bytesSent: 0 };
    client.release();
    throw error;
  }
}

/** Sends the upgrade to one backend, which counts it until the tunnel or its refusal is over. */
function sendUpgrade(upgrade: Upgrade, client: WaitingClient, backend: Backend): Promise<AnsweredUpgrade> {
  const { socket, onAnswer } = upgrade;
  return new Promise((resolve, reject) => {
    const { path, fields } = upgrade.requestFor(backend);
    const answered = (outcome: Promise<UpgradeOutcome>) => {
      void outcome.then(release, release);
      resolve({ outcome });
    };
    const request = requestUpgrade(
      { client: socket, backend, path, fields: handshakeFields(fields) },
      {
        switching(response) {
          watch.clear();
          client.release();
          return switchingFields(onAnswer(response));
        },
        open(backendSocket) {
          answered(watchTunnel(socket, backendSocket).then((end) => ({ status: 101, ...end })));
        },
      },
    );
    const release = backend.acquire();
    const watch = new DialWatch(request, upgrade.upstream.timeouts, backend.address.tls);
    client.onceGone(() => request.destroy());
    request.on("response", (response) => {
      watch.clear();
      const fault = responseFault(response);
      if (fault === undefined) answered(passRefusal(upgrade, client, response));
      else request.destroy(new DialError("backend_protocol_error", fault, "answered"));
    });
    // Node reports here what breaks before an answer; later breakdowns are the sockets' own.
    request.on("error", (error) => {
      watch.clear();
      release();
      reject(watch.failure(error));
    });
  });
}

async function passRefusal(
  { socket, upstream, onAnswer }: Upgrade,
  client: WaitingClient,
  response: IncomingMessage,
): Promise<UpgradeOutcome> {
  client.release();
  const head = onAnswer(response);
  const end = await relayRefusal(socket, response, head, upstream.timeouts.responseHeaderTimeout);
  return { status: head.status, ...end };
}

/** The fields of a 101: those of any answer, the two that make it one, and nothing that frames a body. */
function switchingFields({ fields }: ResponseHead): string[] {
  return ["Upgrade", "websocket", "Connection", "Upgrade", ...removeField(fields, "content-length")];
}
