import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { GrowingBytes } from "../base/growing-bytes.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { HeadContext } from "../http/raw-head.ts";
import { RawResponse, type ResponseOwner } from "../http/raw-response.ts";
import { type PlainRequest, parseRequest } from "../http/request-parser.ts";
import { answer, join, receive } from "../request/receive.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { afterHead, HalfClosedClient } from "./half-closed-client.ts";

/** The fast path that a connection belongs to. */
export interface FastPathOwner {
  readonly runtime: Runtime;
  /** How long, in ms, a connection stays open after a response without a further request. */
  readonly keepAliveMs: number;
  /** Whether each response is the last one of its connection. */
  readonly isClosing: boolean;
  /** Gives a connection to node:http, with the bytes to be read first put back into it. */
  handOver(socket: Socket): void;
  /** Called when a connection is closed or has left the fast path. */
  forget(connection: FastPathConnection): void;
}

/**
 * The maximum number of bytes that a client may send before it has the response to its request; more ends the
 * connection.
 */
const MAX_EARLY_BYTES = 64 * 1024;

/** A socket's connection is found by this property: it takes less memory than a closure for each listener. */
const CONNECTION = Symbol("connection");
type FastPathSocket = Socket & { [CONNECTION]?: FastPathConnection };

/** A client's connection while its requests are plain and come one at a time. */
export class FastPathConnection implements ResponseOwner {
  readonly socket: Socket;
  readonly #owner: FastPathOwner;
  #response: RawResponse | undefined;
  #exchange: Exchange | undefined;
  /** Whether the client has ended its half, and still gets its response. */
  #isHalfClosed = false;
  /** Whether the client lets the connection go on after the request that is being answered. */
  #keepsAlive = false;
  /** The bytes that came while a request was being answered. */
  #early: GrowingBytes | undefined;
  /** Whether a request was answered on it. */
  isUsed = false;
  /** Since when it has had no request, by `performance.now()`. */
  idleSince = performance.now();

  constructor(socket: Socket, owner: FastPathOwner) {
    this.socket = socket;
    this.#owner = owner;
    (socket as FastPathSocket)[CONNECTION] = this;
    socket.on("data", onData);
    socket.on("drain", onDrain);
    socket.on("end", onEnd);
    socket.on("error", onError);
    socket.on("close", onClose);
  }

  get isAnswering(): boolean {
    return this.#response !== undefined;
  }

  headContext(): HeadContext {
    const { keepAliveMs, isClosing } = this.#owner;
    return { mayKeepAlive: this.#keepsAlive && !isClosing && !this.#isHalfClosed, keepAliveMs };
  }

  answered(keepsAlive: boolean): void {
    const early = this.#early;
    this.#response = undefined;
    this.#exchange = undefined;
    this.#early = undefined;
    this.isUsed = true;
    if (!keepsAlive || this.#isHalfClosed || this.#owner.isClosing) this.socket.destroySoon();
    else if (early !== undefined && this.socket.writable) this.#handOver(early.bytes);
    else this.idleSince = performance.now();
  }

  received(bytes: Buffer): void {
    if (this.isAnswering) {
      this.#keep(bytes);
      return;
    }
    const request = parseRequest(bytes, this.#owner.runtime.config.server.limits);
    if (request === undefined) this.#handOver(bytes);
    else this.#answer(request);
  }

  /** Removes its listeners and leaves the socket to another reader. */
  detach(): void {
    const { socket } = this;
    socket.removeListener("data", onData);
    socket.removeListener("drain", onDrain);
    socket.removeListener("end", onEnd);
    socket.removeListener("error", onError);
    socket.removeListener("close", onClose);
    this.#owner.forget(this);
  }

  ended(): void {
    const response = this.#response;
    if (response === undefined) this.socket.end();
    else afterHead(response, this, () => this.#endedDuring(response));
  }

  /** A client that ends its half during its response has left; before it, the client may wait for the response. */
  #endedDuring(response: RawResponse): void {
    if (this.#exchange === undefined || response.hasBegun) {
      response.clientEnded();
      this.socket.end();
      return;
    }
    this.#isHalfClosed = true;
    new HalfClosedClient(response, this.#exchange);
  }

  drained(): void {
    this.#response?.drained();
  }

  closed(): void {
    this.#owner.forget(this);
    this.#response?.closed();
  }

  /** Ends the exchange that is being answered; without one, the connection. */
  fault(error: unknown): void {
    if (this.#response !== undefined) {
      this.#response.fault(error);
    } else {
      this.#owner.runtime.onFault(error);
      this.socket.destroy();
    }
  }

  #answer(request: PlainRequest): void {
    const { runtime } = this.#owner;
    const response = new RawResponse(this);
    this.#keepsAlive = request.keepsAlive;
    this.#response = response;
    const exchange = receive(request, this.socket, runtime);
    this.#exchange = exchange;
    join(exchange, response);
    void answer(exchange, response, runtime);
  }

  /** Keeps early bytes: reading goes on while a client is answered, because only a read tells that it has left. */
  #keep(bytes: Buffer): void {
    this.#early ??= new GrowingBytes();
    if (this.#early.length + bytes.length > MAX_EARLY_BYTES) this.socket.destroy();
    else this.#early.add(bytes);
  }

  #handOver(bytes: Buffer): void {
    this.detach();
    // Bytes cannot be put back into a flowing stream.
    this.socket.pause();
    this.socket.unshift(bytes);
    this.#owner.handOver(this.socket);
    this.socket.resume();
  }
}

/** Runs one step of a socket's connection; an error in it is a fault of that connection. */
function step(socket: FastPathSocket, run: (connection: FastPathConnection) => void): void {
  const connection = socket[CONNECTION];
  if (connection === undefined) return;
  try {
    run(connection);
  } catch (error) {
    connection.fault(error);
  }
}

function onData(this: FastPathSocket, bytes: Buffer): void {
  step(this, (connection) => connection.received(bytes));
}

function onDrain(this: FastPathSocket): void {
  step(this, drained);
}

function onEnd(this: FastPathSocket): void {
  step(this, ended);
}

/** Node destroys the socket after an error, and `close` follows. */
function onError(): void {}

function onClose(this: FastPathSocket): void {
  step(this, closed);
}

const drained = (connection: FastPathConnection): void => connection.drained();
const ended = (connection: FastPathConnection): void => connection.ended();
const closed = (connection: FastPathConnection): void => connection.closed();
