import type { IncomingMessage } from "node:http";
import type { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { join } from "../request/receive.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type ArrivingBody, BodyTimer } from "./body-timer.ts";
import { afterHead, HalfClosedClient } from "./half-closed-client.ts";
import type { NodeResponse } from "./node-response.ts";
import type { Turn, Turns } from "./turns.ts";

interface TurnSetup {
  readonly runtime: Runtime;
  readonly turns: Turns;
  /** Answers the request in its turn. */
  begin(): void;
  /** Called when the response is closed, or if the turn never comes. */
  onDone(): void;
}

/** A request that node:http has read, from its head to the end of its response. */
export class RequestTurn implements Turn, ArrivingBody {
  readonly #request: IncomingMessage;
  readonly #exchange: Exchange;
  readonly #response: NodeResponse;
  readonly #begin: () => void;
  readonly #onDone: () => void;
  /** The error in the request's body that came before its turn. */
  #bodyFault: ProxyError | undefined;
  #hasBegun = false;
  /** Once its response has closed: whether the whole request had come by then. */
  wasCompleteAtEnd: boolean | undefined;

  constructor(
    request: IncomingMessage,
    exchange: Exchange,
    response: NodeResponse,
    { runtime, turns, begin, onDone }: TurnSetup,
  ) {
    this.#request = request;
    this.#exchange = exchange;
    this.#response = response;
    this.#begin = begin;
    this.#onDone = onDone;
    join(exchange, response);
    const timer =
      exchange.request.body && new BodyTimer(exchange, runtime, this, (refusal) => this.#onSilence(refusal));
    response.onClose(() => {
      this.wasCompleteAtEnd = this.#request.complete;
      // The rest of a body is read and dropped, so that its client gets the response.
      if (this.isOver) timer?.clear();
      turns.done(this);
      onDone();
    });
  }

  /** Whether bytes that arrive still belong to this request. */
  get isArriving(): boolean {
    return !this.#request.complete;
  }

  get isOver(): boolean {
    return this.#request.complete || this.#request.socket.destroyed;
  }

  /** The body of a request that waits for its turn is awaited too: unread, it hides the end of the connection. */
  get isAwaited(): boolean {
    if (!this.#hasBegun || this.#response.isClosed) return true;
    if (this.#response.isHeadSent || this.#exchange.awaitsContinue) return false;
    const { readableLength, readableHighWaterMark } = this.#request;
    return readableLength < readableHighWaterMark;
  }

  get receivedBytes(): number {
    return this.#request.socket.bytesRead;
  }

  begin(): void {
    this.#hasBegun = true;
    if (this.#bodyFault === undefined) this.#begin();
    else this.#exchange.fault(this.#bodyFault);
  }

  skip(): void {
    this.#exchange.settle("client_gone");
    this.#onDone();
  }

  drained(): void {
    this.#response.drained();
  }

  clientEnded(isLast: boolean): void {
    afterHead(this.#response, this.#exchange, () => this.#endedDuring(isLast));
  }

  /** A client that ends its half during its response has left; before it, the client may wait for the response. */
  #endedDuring(isLast: boolean): void {
    if (this.#response.isClosed || this.#response.isEnded) return;
    if (this.#response.hasBegun) {
      this.#request.socket.end();
      return;
    }
    if (isLast) this.#response.closesConnection();
    new HalfClosedClient(this.#response, this.#exchange);
  }

  #onSilence(refusal: ProxyError): void {
    if (!this.refuseBody(refusal)) this.#request.socket.destroy();
  }

  /** Refuses the request for an error in its body; returns false if it is too late for a refusal. */
  refuseBody(fault: ProxyError): boolean {
    if (this.#response.isHeadSent || this.#response.isClosed) return false;
    this.#bodyFault = fault;
    if (this.#hasBegun) this.#exchange.fault(fault);
    // An unread body would stop the reading of the connection, and a client that leaves would go unnoticed.
    else this.#request.resume();
    return true;
  }
}
