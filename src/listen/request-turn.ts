import type { IncomingMessage } from "node:http";
import type { ProxyError } from "../base/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { join } from "../request/receive.ts";
import type { NodeResponse } from "./node-response.ts";
import type { Turn, Turns } from "./turns.ts";

/** A request that node:http has read, from its head to the end of its answer. */
export class RequestTurn implements Turn {
  readonly #request: IncomingMessage;
  readonly #exchange: Exchange;
  readonly #response: NodeResponse;
  readonly #begin: () => void;
  /** What ended the request's body before its turn came. */
  #bodyFault: ProxyError | undefined;
  #hasBegun = false;

  /** `begin` answers it in its turn; `onDone` is called when that is over. */
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

  /** Bytes that arrive are still this request's. */
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

  /** Ends the request with a fault in its body; returns false where it is too late for an answer that says so. */
  refuseBody(fault: ProxyError): boolean {
    if (this.#response.isHeadSent || this.#response.isClosed) return false;
    this.#bodyFault = fault;
    if (this.#hasBegun) this.#exchange.fault(fault);
    // No one reads the body: it would stop the connection's reading, and nothing would tell that the client has left.
    else this.#request.resume();
    return true;
  }
}
