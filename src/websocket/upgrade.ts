import type { IncomingMessage } from "node:http";
import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { removeField } from "../http/fields.ts";
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
import type { WaitingClient } from "./waiting-client.ts";
import { handshakeFields } from "./websocket.ts";

/** A WebSocket upgrade, checked and routed. */
export interface Upgrade {
  readonly exchange: Exchange;
  readonly client: WaitingClient;
  readonly upstream: Upstream;
  requestFor(backend: Backend): Pick<BackendRequest, "path" | "fields">;
  /** Called once, when a backend has responded; returns the response head for the client. */
  onAnswer(response: IncomingMessage): ResponseHead;
}

/** How an upgrade ended. */
export interface UpgradeOutcome {
  readonly endReason: EndReason;
  /** Bytes of the body, or of the tunnel, to the client. */
  readonly bytesSent: number;
}

/** An upgrade to which a backend has responded; `outcome` resolves when the tunnel, or the refusal, is over. */
interface AnsweredUpgrade {
  readonly outcome: Promise<UpgradeOutcome>;
}

/**
 * Forwards a WebSocket upgrade and resolves when the tunnel, or the backend's refusal, is over.
 *
 * An upgrade that could not be sent goes to another backend. Rejects with a ProxyError if no backend responds; nothing
 * was written to the client's socket then.
 */
export async function passUpgrade(upgrade: Upgrade): Promise<UpgradeOutcome> {
  const { client } = upgrade;
  const { socket } = client;
  try {
    const { outcome } = await attempt<AnsweredUpgrade>({
      exchange: upgrade.exchange,
      upstream: upgrade.upstream,
      isRepeatable: false,
      isClientGone: () => socket.destroyed,
      send: (backend, _isAlone, answered, failed) => {
        sendUpgrade(upgrade, backend).then(answered, failed);
      },
    });
    return await outcome;
  } catch (error) {
    if (error instanceof DialError && socket.destroyed) return { endReason: "client_gone", bytesSent: 0 };
    throw error;
  }
}

/** Sends the upgrade to one backend, which counts it until the tunnel or its refusal is over. */
function sendUpgrade(upgrade: Upgrade, backend: Backend): Promise<AnsweredUpgrade> {
  const { exchange, client, onAnswer } = upgrade;
  const { socket } = client;
  return new Promise((resolve, reject) => {
    const release = backend.acquire();
    exchange.onEnd(release);
    const answered = (outcome: Promise<UpgradeOutcome>) => {
      const over = () => exchange.giveBack(release);
      void outcome.then(over, over);
      resolve({ outcome });
    };
    const { path, fields } = upgrade.requestFor(backend);
    const request = requestUpgrade(
      { client: socket, backend, path, fields: handshakeFields(fields) },
      {
        switching(response) {
          watch.clear();
          client.release();
          return switchingFields(onAnswer(response));
        },
        open(backendSocket) {
          exchange.onEnd(() => backendSocket.destroy());
          answered(watchTunnel(socket, backendSocket, exchange));
        },
        fault: (error) => exchange.fault(error),
      },
    );
    exchange.onEnd(() => request.destroy());
    const { timeouts } = upgrade.upstream;
    const watch = new DialWatch(request, { timeouts, isTls: backend.address.tls, owner: exchange });
    client.onceGone(() => request.destroy());
    const onResponse = (response: IncomingMessage) => {
      watch.clear();
      const fault = responseFault(response);
      if (fault === undefined) answered(passRefusal(upgrade, response));
      else request.destroy(new DialError("backend_protocol_error", fault, "answered"));
    };
    request.on("response", exchange.guarded(onResponse));
    // Node reports errors before the response here; later errors are reported by the sockets.
    const onError = (error: NodeJS.ErrnoException) => {
      watch.clear();
      exchange.giveBack(release);
      reject(watch.failure(error));
    };
    request.on("error", exchange.guarded(onError));
  });
}

async function passRefusal(
  { client, upstream, onAnswer }: Upgrade,
  response: IncomingMessage,
): Promise<UpgradeOutcome> {
  client.release();
  const head = onAnswer(response);
  return await relayRefusal(client.socket, response, head, upstream.timeouts.responseHeaderTimeout);
}

/** Returns the fields of a 101: those of any response and the two of the upgrade, without Content-Length. */
function switchingFields({ fields }: ResponseHead): string[] {
  return ["Upgrade", "websocket", "Connection", "Upgrade", ...removeField(fields, "content-length")];
}
