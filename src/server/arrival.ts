import type { Duplex } from "node:stream";

/** How a connection came in. */
export interface Arrival {
  /** Who is at its other end: an address, `UNIX_PEER`, or undefined when that is not known. */
  readonly peer: string | undefined;
  readonly tls: boolean;
  /** It is beyond the gateway's limit: its requests are refused. */
  readonly isOverflow: boolean;
}

/** How each connection of a listener came in. What a proxy said of it stands in place of the socket's own word. */
export class Arrivals {
  readonly #arrivals = new WeakMap<Duplex, Arrival>();

  set(socket: Duplex, arrival: Arrival): void {
    this.#arrivals.set(socket, arrival);
  }

  /** A connection that was not noted came from nobody who could be trusted. */
  of(socket: Duplex): Arrival {
    return this.#arrivals.get(socket) ?? { peer: undefined, tls: false, isOverflow: false };
  }
}
