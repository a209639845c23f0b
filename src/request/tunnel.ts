import type { Duplex } from "node:stream";
import type { EndReason } from "../base/outcome.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { LiveStream } from "../exchange/live-stream.ts";

/** An open tunnel, such as a WebSocket. Its bytes are not parsed, so it has no event boundary to end at. */
export class Tunnel implements LiveStream {
  readonly exchange: Exchange;
  /** Clients of WebSockets reconnect by themselves as a rule; a `docker exec` would have to be repeated by hand. */
  readonly reconnects: boolean;
  readonly #socket: Duplex;

  constructor(exchange: Exchange, socket: Duplex, protocol: string) {
    this.exchange = exchange;
    this.reconnects = protocol === "websocket";
    this.#socket = socket;
  }

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  endAtBoundary(reason: EndReason): void {
    this.abort(reason);
  }

  abort(reason: EndReason): void {
    if (this.#socket.destroyed) return;
    this.exchange.account.endsWith(reason);
    this.#socket.destroy();
  }
}
