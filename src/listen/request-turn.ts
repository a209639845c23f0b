import type { IncomingMessage } from "node:http";
import type { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { join } from "../request/receive.ts";
import type { NodeResponse } from "./node-response.ts";
import type { Turn, Turns } from "./turns.ts";

/** A request that node:http has read, from its head to the end of its response. */
export class RequestTurn implements Turn {
  readonly #request: IncomingMessage;
  readonly #exchange: Exchange;
  readonly #response: NodeResponse;
  readonly #begin: () => void;
  /** The error in the request's body that came before its turn. */
  #bodyFault: ProxyError | undefined;
  #hasBegun = false;

  /** `begin` answers the request in its turn; `onDone` is called when the response is closed. */
  constructor(
    request: IncomingMessage,
    exchange: Exchange,
    response: NodeResponse,
    { turns, begin, onDone }: { readonly turns: Turns; begin(): void; onDone(): void },
  ) {
    this.#request = request;
    this.#exchange = exchange;
    this.#response = response;
    this.#begin = begin;
    join(exchange, response);
    response.onClose(() => {
      turns.done(this);
      onDone();
    });
  }

  /** Whether bytes that arrive still belong to this request. */
  get isArriving(): boolean {
    return !this.#request.complete;
  }

  begin(): void {
    this.#hasBegun = true;
    if (this.#bodyFault === undefined) this.#begin();
    else this.#exchange.fault(this.#bodyFault);
  }

  skip(): void {
    this.#exchange.settle("client_gone");
  }

  drained(): void {
    this.#response.drained();
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
