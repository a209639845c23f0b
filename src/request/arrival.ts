import type { Duplex } from "node:stream";

/** How a connection came in. What a proxy said of it stands in place of the socket's own word. */
export interface Arrival {
  /** The address at its other end, `UNIX_PEER`, or undefined when a proxy's header names no address. */
  readonly peer: string | undefined;
  readonly tls: boolean;
  /** It is beyond the gateway's limit: its requests are refused. */
  readonly isOverflow: boolean;
}

/** Where a socket has its arrival: a WeakMap of all of them is looked through at each collection of young objects. */
const ARRIVAL = Symbol("arrival");
type ArrivedSocket = Duplex & { [ARRIVAL]?: Arrival };

const FROM_NOBODY: Arrival = { peer: undefined, tls: false, isOverflow: false };

export function noteArrival(socket: Duplex, arrival: Arrival): void {
  (socket as ArrivedSocket)[ARRIVAL] = arrival;
}

/** Of a connection that was not noted: it came from nobody who could be trusted. */
export function arrivalOf(socket: Duplex): Arrival {
  return (socket as ArrivedSocket)[ARRIVAL] ?? FROM_NOBODY;
}
