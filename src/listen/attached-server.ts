import type { EventEmitter } from "node:events";
import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Http2SecureServer, ServerHttp2Stream } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { Release } from "../base/release.ts";
import { afterResponses, connectionListenerOf } from "../process/internals/connection-listener.ts";
import { ignoreUpgrade } from "../request/upgrade.ts";
import type { AttachedRequests } from "./attached-requests.ts";
import { createNodeRequest } from "./node-request.ts";

/** A server of the program around sluice. */
export type AttachableServer = HttpServer | HttpsServer | Http2SecureServer;

/** Takes the arguments of an event; returns false for an event of a request that sluice leaves alone. */
type Taker = (...args: never[]) => boolean;

/**
 * Answers the requests of a server that routes of sluice take; all others reach the server's own listeners, also
 * listeners that are added later. Returns a function that ends this for further requests.
 *
 * Takes events at `emit`: a listener could not keep an event from the others, and two would answer one request.
 */
export function attachTo(server: AttachableServer, requests: AttachedRequests): Release {
  const takers: Readonly<Record<string, Taker>> = {
    request: (request: IncomingMessage, response: ServerResponse) => requests.take(request, response),
    checkContinue: (request: IncomingMessage, response: ServerResponse) =>
      requests.take(request, response, true),
    stream: (stream: ServerHttp2Stream, _headers: never, _flags: never, rawHeaders: readonly string[]) =>
      requests.takeStream(stream, rawHeaders),
    upgrade: (request: IncomingMessage, socket: Socket, head: Buffer) => takeUpgrade(request, socket, head),
  };
  const parse = connectionListenerOf(server);
  const takeUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer): boolean => {
    if (requests.takeUpgrade({ request, socket, head, parse })) return true;
    const hasOwn = server.listeners("upgrade").some((listener) => listener !== receiveUpgrades);
    if (hasOwn) return false;
    socket.unshift(head);
    const begin = () => ignoreUpgrade(parse, createNodeRequest(request), socket);
    afterResponses(socket, { begin, skip: () => {} });
    return true;
  };
  const own: EventEmitter = server;
  const emit = own.emit;
  let isAttached = true;
  const isInherited = !Object.hasOwn(own, "emit");
  const emitOrTake: typeof emit = (event, ...args) => {
    const taker = isAttached && typeof event === "string" ? takers[event] : undefined;
    return taker?.(...(args as never[])) || Reflect.apply(emit, server, [event, ...args]);
  };
  own.emit = emitOrTake;
  own.on("upgrade", receiveUpgrades);
  return () => {
    if (!isAttached) return;
    isAttached = false;
    // Left in place, it would make each further attach a deeper call. Another one may have been put around it.
    if (own.emit === emitOrTake && isInherited) Reflect.deleteProperty(own, "emit");
    else if (own.emit === emitOrTake) own.emit = emit;
    own.removeListener("upgrade", receiveUpgrades);
  };
}

/** Node reads an upgrade as an ordinary request, unless the server has a listener for it. */
function receiveUpgrades(): void {}
