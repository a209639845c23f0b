import type { ClientRequest, IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { guarded } from "../base/guard.ts";
import { pairs, type RawFields } from "../http/fields.ts";
import { checkFields, checkTarget } from "../http/render-head.ts";
import { withoutDeprecatedExtend } from "../process/internals/deprecated-extend.ts";
import type { Backend } from "../upstream/backend.ts";

/**
 * The only file that knows http-proxy 1.18.1: it sends WebSocket upgrades and joins the two sockets.
 *
 * Ordinary requests do not go through it. It misses that clients leave, rewrites the framing of DELETE and
 * OPTIONS, holds heads back, leaves clients of a broken backend hanging, and knows only after the head
 * what our own dial has to know before. What upgrades have of that is contained here; each defect has its
 * file in test/security.
 */
const httpProxy = withoutDeprecatedExtend<typeof import("http-proxy")>(() =>
  createRequire(import.meta.url)("http-proxy"),
);

/** An upgrade request as it goes out. */
export interface UpgradeRequest {
  /** The client's socket; it must have an error listener already. */
  readonly client: Socket;
  readonly backend: Backend;
  readonly path: string;
  /** Every field, Host, Connection and Upgrade among them. */
  readonly fields: RawFields;
}

/** What happens when the backend switches protocols, in this order and in one turn. */
export interface UpgradeEvents {
  /** Before a byte goes to the client; returns the fields of its 101. */
  switching(response: IncomingMessage): RawFields;
  /** The sockets are piped into each other. */
  open(backend: Socket): void;
  /** One of the callbacks above threw, or http-proxy did, which had begun to switch; the backend's socket is destroyed. */
  fault(error: unknown): void;
}

/**
 * Sends an upgrade request on a connection of its own.
 *
 * The caller listens on what is returned for `response`, the backend's refusal, and for `error`; there are
 * no other listeners for these.
 */
export function requestUpgrade(upgrade: UpgradeRequest, events: UpgradeEvents): ClientRequest {
  // One proxy for each upgrade: its events carry no name by which two upgrades could be told apart.
  const proxy = httpProxy.createProxyServer();
  let sent: ClientRequest | undefined;
  proxy.once("proxyReqWs", (request: ClientRequest) => {
    sent = request;
    // Emitted before the head is rendered, so the exact bytes of path and fields can still be put in.
    // http-proxy's own come from url.parse, which rewrites `\`, `//`, spaces and `#`, and from
    // `request.headers`, which has lost duplicates, order and case.
    checkTarget(upgrade.path);
    request.path = upgrade.path;
    replaceFields(request, upgrade.fields);
    // Ours is the first listener. http-proxy's is the second: it renders the 101 from `headers`.
    request.once("upgrade", (response) => {
      const fields = events.switching(response);
      // http-proxy writes them unchecked.
      checkFields(fields);
      response.headers = grouped(fields);
    });
  });
  proxy.once("open", (backend: Socket) => events.open(backend));
  // http-proxy writes the 101 as a string, and header values are latin1: UTF-8 would double their bytes.
  upgrade.client.setDefaultEncoding("latin1");
  try {
    proxy.ws(STAND_IN, upgrade.client, Buffer.alloc(0), optionsFor(upgrade.backend), ignore);
  } catch (error) {
    sent?.on("error", ignore).destroy();
    throw error;
  }
  if (sent === undefined) throw new TypeError("http-proxy emits proxyReqWs before ws() returns");
  // Both come later than this turn. On an error http-proxy ends the client's socket, so that no 502 could be
  // written; a refusal it writes with the backend's Transfer-Encoding over a body that is decoded already.
  sent.removeAllListeners("error");
  sent.removeAllListeners("response");
  guardSwitching(sent, events);
  return sent;
}

/** Has the listeners for `upgrade`, ours and http-proxy's, end one exchange where they throw, and not the process. */
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

/** All that http-proxy may see of the client's request; what it copied would have to be taken out again. */
const STAND_IN = {
  method: "GET",
  url: "/",
  headers: { upgrade: "websocket", connection: "Upgrade" },
} as unknown as IncomingMessage;

/** Errors of the joined sockets are the tunnel's to account for; http-proxy only must not throw them. */
const ignore = (): void => {};

function optionsFor({ address: { tls, host, port, socketPath }, agent }: Backend) {
  const address = { protocol: tls ? "https:" : "http:", host, port };
  return {
    // An object: a string would be read by url.parse, and so would the path without `toProxy`.
    target: socketPath === undefined ? address : { ...address, socketPath },
    toProxy: true,
    // It resolves the name, and it knows how a certificate is verified.
    agent,
    // `xfwd` would append to whatever X-Forwarded-* the client sent.
    xfwd: false,
  };
}

function replaceFields(request: ClientRequest, fields: RawFields): void {
  for (const name of request.getHeaderNames()) request.removeHeader(name);
  for (const [name, values] of Object.entries(grouped(fields))) request.setHeader(name, values);
}

/** The values of each field in order, under the name as it was first written. */
function grouped(fields: RawFields): Record<string, string[]> {
  const groups = new Map<string, [name: string, values: string[]]>();
  for (const [name, value] of pairs(fields)) {
    const group = groups.get(name.toLowerCase());
    if (group === undefined) groups.set(name.toLowerCase(), [name, [value]]);
    else group[1].push(value);
  }
  return Object.fromEntries(groups.values());
}
