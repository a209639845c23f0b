import type { IncomingMessage } from "node:http";
import { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { withoutField } from "../http/fields.ts";
import { headOf, ReadableSource } from "../http/readable-source.ts";
import type { Source } from "../http/source.ts";
import type { ResponseHead } from "../stream/response-head.ts";
import { attempt } from "../upstream/attempt.ts";
import type { Backend } from "../upstream/backend.ts";
import type { BackendRequest } from "../upstream/dial.ts";
import { DialError } from "../upstream/dial-error.ts";
import { DialWatch, responseFault } from "../upstream/dial-watch.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { requestUpgrade } from "./http-proxy.ts";
import { switchFault, upgradeFields } from "./protocol.ts";
import { type TunnelEnd, watchTunnel } from "./tunnel.ts";
import type { WaitingClient } from "./waiting-client.ts";

/** An upgrade, checked and routed. */
export interface Upgrade {
  readonly exchange: Exchange;
  readonly client: WaitingClient;
  /** The protocol to switch to, in lower case. */
  readonly protocol: string;
  readonly upstream: Upstream;
  /** The request's body, whole. */
  readonly body: readonly Buffer[];
  /** How long, in ms, the tunnel may be silent after one side has ended its half; undefined for no limit. */
  readonly halfCloseTimeout: number | undefined;
  requestFor(backend: Backend): Pick<BackendRequest, "path" | "fields">;
  /** Called once, when a backend switches protocols; returns the response head for the client. */
  onSwitch(response: IncomingMessage): ResponseHead;
}

/** A backend's answer to an upgrade: a tunnel, whose promise resolves at its end, or a response without a switch. */
export type UpgradeAnswer = { readonly tunnel: Promise<TunnelEnd> } | { readonly response: Source };

/**
 * Forwards an upgrade and resolves with the backend's answer. The client is released then.
 *
 * An upgrade that could not be sent goes to another backend. Rejects with a ProxyError if no backend responds; nothing
 * was written to the client's socket then. Resolves with undefined if the client has left.
 */
export async function passUpgrade(upgrade: Upgrade): Promise<UpgradeAnswer | undefined> {
  const { socket } = upgrade.client;
  try {
    return await attempt<UpgradeAnswer>({
      exchange: upgrade.exchange,
      upstream: upgrade.upstream,
      isRepeatable: false,
      isClientGone: () => socket.destroyed,
      send: (backend, _isAlone, outcome) => {
        const onSwitch = (response: IncomingMessage) => {
          // Without waiting: the switch of the protocol cannot be delayed.
          void outcome.heard(headOf(response))?.catch((error: unknown) => upgrade.exchange.fault(error));
          return upgrade.onSwitch(response);
        };
        const onAnswer = (answer: UpgradeAnswer) => {
          const noted = "response" in answer ? outcome.heard(answer.response.head) : undefined;
          outcome.answered(noted === undefined ? answer : noted.then(() => answer));
        };
        sendUpgrade({ ...upgrade, onSwitch }, backend).then(onAnswer, (error: unknown) =>
          outcome.failed(error),
        );
      },
    });
  } catch (error) {
    if (error instanceof DialError && socket.destroyed) return undefined;
    throw error;
  }
}

/** Sends the upgrade to one backend, which counts it until the tunnel or its response is over. */
function sendUpgrade(upgrade: Upgrade, backend: Backend): Promise<UpgradeAnswer> {
  const { exchange, client, protocol, body } = upgrade;
  const { socket } = client;
  return new Promise((resolve, reject) => {
    const release = backend.acquire();
    exchange.onEnd(release);
    const over = () => exchange.giveBack(release);
    const failed = (error: DialError) => {
      over();
      reject(error);
    };
    const { method, rawHeaders } = exchange.request;
    const { path, fields } = upgrade.requestFor(backend);
    const request = requestUpgrade(
      {
        ...{ client: socket, backend, method, path, body },
        fields: upgradeFields(fields, protocol, rawHeaders),
      },
      {
        switching(response) {
          watch.clear();
          const fault = switchFault(response, protocol);
          if (fault !== undefined) throw new DialError("backend_protocol_error", fault, "answered");
          client.release();
          return switchingFields(upgrade.onSwitch(response), response);
        },
        open(backendSocket) {
          exchange.onEnd(() => backendSocket.destroy());
          const tunnel = watchTunnel(socket, backendSocket, exchange, {
            maxSilenceMs: upgrade.halfCloseTimeout,
            isOrdinary: protocol !== "websocket",
          });
          void tunnel.then(over, over);
          resolve({ tunnel });
        },
        fault: (error) => (error instanceof DialError ? failed(error) : exchange.fault(error)),
      },
    );
    exchange.onEnd(() => request.destroy());
    const { timeouts } = upgrade.upstream;
    const watch = new DialWatch(request, { timeouts, isTls: backend.address.tls, owner: exchange });
    client.onceGone(() => request.destroy());
    const onResponse = (response: IncomingMessage) => {
      watch.clear();
      const fault = responseFault(response);
      if (fault !== undefined) {
        request.destroy(new DialError("backend_protocol_error", fault, "answered"));
        return;
      }
      client.release();
      const source = new ReadableSource(headOf(response), response, exchange, bodyFault);
      source.onClose(over);
      resolve({ response: source });
    };
    request.on("response", exchange.guarded(onResponse));
    // Node reports errors before the response here; later errors are reported by the sockets.
    const onError = (error: NodeJS.ErrnoException) => {
      watch.clear();
      failed(watch.failure(error));
    };
    request.on("error", exchange.guarded(onError));
  });
}

/** The backend has aborted its response: no defect of sluice. */
function bodyFault(error: Error): ProxyError {
  return new ProxyError("backend_reset", error.message, { cause: error });
}

/** Returns the fields of a 101: those of any response and the two of the upgrade, without Content-Length. */
function switchingFields({ fields }: ResponseHead, { headers }: IncomingMessage): string[] {
  const protocol = headers.upgrade ?? "";
  return ["Upgrade", protocol, "Connection", "Upgrade", ...withoutField(fields, "content-length")];
}
