import type { Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { GrowingBytes } from "../base/growing-bytes.ts";
import type { HeadContext } from "../http/raw-head.ts";
import { RawResponse, type ResponseOwner } from "../http/raw-response.ts";
import { type HeadLimits, type PlainRequest, parseRequest } from "../http/request-parser.ts";

/** What connections need of the fast path that they are in. */
export interface FastPathRules {
  readonly limits: HeadLimits;
  readonly keepAliveMs: number;
  /** No further request is taken. */
  isClosing(): boolean;
  answer(request: PlainRequest, response: RawResponse, socket: Socket): void;
  /** Takes a connection over on which something came that the fast path does not read; the socket has it again. */
  handOver(socket: Socket): void;
  /** The connection is closed, or another's. */
  forget(connection: FastPathConnection): void;
  /** Reports an error that no code expected, of a connection on which nothing was being answered. */
  onFault(error: unknown): void;
}

/** The most that a client may send while it is being answered; it is the next request's, if anything. */
const MAX_EARLY_BYTES = 64 * 1024;

/** Where a socket has its connection: one property instead of a closure for each listener. */
const CONNECTION = Symbol("connection");
type FastPathSocket = Socket & { [CONNECTION]?: FastPathConnection };

/** A client's connection, as long as its requests are plain and come one at a time. */
export class FastPathConnection implements ResponseOwner {
  readonly socket: Socket;
  readonly #rules: FastPathRules;
  #response: RawResponse | undefined;
  /** The client has not said that the request that is being answered is its last. */
  #keepsAlive = false;
  /** What came meanwhile. */
  #early: GrowingBytes | undefined;
  /** A request was answered on it. */
  isUsed = false;
  /** Since when it has been without a request, by `performance.now()`. */
  waitsSince = performance.now();

  constructor(socket: Socket, rules: FastPathRules) {
    this.socket = socket;
    this.#rules = rules;
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
    const { keepAliveMs } = this.#rules;
    const mayKeepAlive = this.#keepsAlive && !this.#rules.isClosing();
    return { mayKeepAlive, keepAliveMs };
  }

  answered(keepsAlive: boolean): void {
    const early = this.#early;
    this.#response = undefined;
    this.#early = undefined;
    this.isUsed = true;
    if (!keepsAlive || this.#rules.isClosing()) this.socket.destroySoon();
    else if (early !== undefined && this.socket.writable) this.#handOver(early.bytes);
    else this.waitsSince = performance.now();
  }

  received(bytes: Buffer): void {
    const request = this.isAnswering ? undefined : parseRequest(bytes, this.#rules.limits);
    if (this.isAnswering) {
      this.#keep(bytes);
    } else if (request === undefined) {
      this.#handOver(bytes);
    } else {
      this.#keepsAlive = request.keepsAlive;
      this.#response = new RawResponse(this);
      this.#rules.answer(request, this.#response, this.socket);
    }
  }

  /** Leaves the socket to another, as it was before. */
  letGo(): void {
    const { socket } = this;
    socket.removeListener("data", onData);
    socket.removeListener("drain", onDrain);
    socket.removeListener("end", onEnd);
    socket.removeListener("error", onError);
    socket.removeListener("close", onClose);
    this.#rules.forget(this);
  }

  ended(): void {
    this.#response?.clientEnded();
    this.socket.end();
  }

  drained(): void {
    this.#response?.drained();
  }

  closed(): void {
    this.#rules.forget(this);
    this.#response?.closed();
  }

  /** Ends the exchange that is being answered, or the connection where none is. */
  fault(error: unknown): void {
    if (this.#response !== undefined) {
      this.#response.fault(error);
    } else {
      this.#rules.onFault(error);
      this.socket.destroy();
    }
  }

  /** Reading goes on while a client is answered, as nothing else would tell that it has left. */
  #keep(bytes: Buffer): void {
    this.#early ??= new GrowingBytes();
    if (this.#early.length + bytes.length > MAX_EARLY_BYTES) this.socket.destroy();
    else this.#early.add(bytes);
  }

  #handOver(bytes: Buffer): void {
    this.letGo();
    // A stream that flows has nothing to put bytes back into.
    this.socket.pause();
    this.socket.unshift(bytes);
    this.#rules.handOver(this.socket);
    this.socket.resume();
  }
}

/** Runs one step of a socket's connection; an error in it is that connection's fault. */
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

/** A client that has ended its half is done with us: what is being answered ends too, as node:http has it. */
function onEnd(this: FastPathSocket): void {
  step(this, ended);
}

/** The socket is destroyed behind it, and `close` says all there is to say. */
function onError(): void {}

function onClose(this: FastPathSocket): void {
  step(this, closed);
}

const drained = (connection: FastPathConnection): void => connection.drained();
const ended = (connection: FastPathConnection): void => connection.ended();
const closed = (connection: FastPathConnection): void => connection.closed();
