import type { ClientRequest, IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { guarded } from "../base/guard.ts";
import { pairs, type RawFields } from "../http/fields.ts";
import { checkFields, checkTarget } from "../http/render-head.ts";
import { withoutDeprecatedExtend } from "../process/internals/deprecated-extend.ts";
import type { Backend } from "../upstream/backend.ts";

/**
 * The only file that uses http-proxy 1.18.1, which sends upgrades and joins the two sockets.
 *
 * Ordinary requests do not use it: it ignores clients that leave, rewrites the framing of DELETE and OPTIONS, holds
 * response heads back, leaves the clients of a broken backend waiting, and reports only after the head what a dial must
 * know before. This file works around the defects that concern upgrades; each defect has its file in test/security. The
 * order of http-proxy's events and listeners, on which this file relies, is tested in
 * test/unit/process/internals/http-proxy.test.ts.
 */
const httpProxy = withoutDeprecatedExtend<typeof import("http-proxy")>(() =>
  createRequire(import.meta.url)("http-proxy"),
);

/** An upgrade request to a backend. */
export interface UpgradeRequest {
  /** The client's socket; it must have an error listener already. */
  readonly client: Socket;
  readonly backend: Backend;
  readonly method: string;
  readonly path: string;
  /** All fields, including Host, Connection and Upgrade. */
  readonly fields: RawFields;
  /** The request's body, whole. */
  readonly body: readonly Buffer[];
}

/** Called when the backend switches protocols, in this order and in one turn. */
export interface UpgradeEvents {
  /** Called before the client gets a byte; returns the fields of its 101. May throw to refuse the switch. */
  switching(response: IncomingMessage): RawFields;
  /** Called when the sockets are piped into each other. */
  open(backend: Socket): void;
  /** Called when a callback above or http-proxy threw an error during the switch; the backend's socket is destroyed. */
  fault(error: unknown): void;
}

/**
 * Sends an upgrade request on a connection of its own.
 *
 * The caller listens on the returned request for `response`, the backend's refusal, and for `error`; both events have no
 * other listener. Throws a TypeError at a path or field that could end its line early.
 */
export function requestUpgrade(upgrade: UpgradeRequest, events: UpgradeEvents): ClientRequest {
  // One proxy for each upgrade: its events do not say which upgrade they belong to.
  const proxy = httpProxy.createProxyServer();
  let sent: ClientRequest | undefined;
  proxy.once("proxyReqWs", (request: ClientRequest) => {
    sent = request;
    // The event comes before the head is rendered, so path and fields can still be set byte for byte. http-proxy takes
    // them from url.parse, which rewrites `\`, `//`, spaces and `#`, and from `request.headers`, which has lost
    // duplicates, order and case.
    checkTarget(upgrade.path);
    request.method = upgrade.method;
    request.path = upgrade.path;
    replaceFields(request, upgrade.fields);
    // This listener runs before http-proxy's own, which renders the 101 from `headers`.
    request.once("upgrade", (response) => {
      const fields = events.switching(response);
      // http-proxy writes them unchecked.
      checkFields(fields);
      response.headers = grouped(fields);
    });
    // http-proxy ends the request in the same turn: the body has to be whole.
    for (const part of upgrade.body) request.write(part);
  });
  proxy.once("open", (backend: Socket) => {
    // By default Node ends the other half as well when the backend ends its own.
    backend.allowHalfOpen = true;
    events.open(backend);
  });
  // http-proxy writes the 101 as a string; field values are latin1, and UTF-8 would change their bytes.
  upgrade.client.setDefaultEncoding("latin1");
  try {
    proxy.ws(STAND_IN, upgrade.client, Buffer.alloc(0), optionsFor(upgrade.backend), ignore);
  } catch (error) {
    sent?.on("error", ignore).destroy();
    throw error;
  }
  if (sent === undefined) throw new TypeError("http-proxy emits proxyReqWs before ws() returns");
  // Removes http-proxy's listeners before their events, which come in a later turn. The one for `error` ends the
  // client's socket, so that no 502 could be sent. The one for `response` writes the backend's Transfer-Encoding in
  // front of a body that is already decoded.
  sent.removeAllListeners("error");
  sent.removeAllListeners("response");
  guardSwitching(sent, events);
  return sent;
}

/** Guards the listeners for `upgrade`, including http-proxy's: an error in them ends one exchange, not the process. */
function guardSwitching(request: ClientRequest, events: UpgradeEvents): void {
  const listeners = request.listeners("upgrade");
  request.removeAllListeners("upgrade");
  request.once("upgrade", (response, socket: Socket, head) => {
    const onFault = (error: unknown) => {
      socket.on("error", ignore).destroy();
      events.fault(error);
    };
    guarded(onFault, () => {
      for (const listener of listeners) Reflect.apply(listener, request, [response, socket, head]);
    })();
  });
}

/** A request in place of the client's: http-proxy copies fields from it, and takes only WebSocket handshakes. */
const STAND_IN = {
  method: "GET",
  url: "/",
  headers: { upgrade: "websocket", connection: "Upgrade" },
} as unknown as IncomingMessage;

/** The tunnel handles the errors of the joined sockets; this handler only keeps http-proxy from throwing them. */
const ignore = (): void => {};

function optionsFor({ address: { tls, host, port, socketPath }, agent }: Backend) {
  const address = { protocol: tls ? "https:" : "http:", host, port };
  return {
    // An object, because url.parse would read a string; without `toProxy` it would read the path too.
    target: socketPath === undefined ? address : { ...address, socketPath },
    toProxy: true,
    // The agent resolves the name and verifies certificates.
    agent,
    // `xfwd` would append to the X-Forwarded-* that the client sent.
    xfwd: false,
  };
}

function replaceFields(request: ClientRequest, fields: RawFields): void {
  for (const name of request.getHeaderNames()) request.removeHeader(name);
  for (const [name, values] of Object.entries(grouped(fields))) request.setHeader(name, values);
}

/** Returns the values of each field in order, under the first spelling of its name. */
function grouped(fields: RawFields): Record<string, string[]> {
  const groups = new Map<string, [name: string, values: string[]]>();
  for (const [name, value] of pairs(fields)) {
    const group = groups.get(name.toLowerCase());
    if (group === undefined) groups.set(name.toLowerCase(), [name, [value]]);
    else group[1].push(value);
  }
  return Object.fromEntries(groups.values());
}
