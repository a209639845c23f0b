import type { Duplex } from "node:stream";

/** How a connection came in; a PROXY protocol header replaces the socket's own facts. */
export interface Arrival {
  /** The address at its other end, `UNIX_PEER`, or undefined when a proxy's header names no address. */
  readonly peer: string | undefined;
  readonly tls: boolean;
  /** Whether it is beyond `limits.connections`: its requests are refused. */
  readonly isOverflow: boolean;
}

/** A socket's property, not a WeakMap: V8 walks a WeakMap at each collection of young objects. */
const ARRIVAL = Symbol("arrival");
type ArrivedSocket = Duplex & { [ARRIVAL]?: Arrival };

const UNTRUSTED: Arrival = { peer: undefined, tls: false, isOverflow: false };

/** Stores how a connection came in, on its socket. */
export function noteArrival(socket: Duplex, arrival: Arrival): void {
  (socket as ArrivedSocket)[ARRIVAL] = arrival;
}

/** Whether `noteArrival` was called for a connection. */
export function isArrivalNoted(socket: Duplex): boolean {
  return (socket as ArrivedSocket)[ARRIVAL] !== undefined;
}

/** Returns how a connection came in; an unknown, untrusted client if `noteArrival` was not called. */
export function arrivalOf(socket: Duplex): Arrival {
  return (socket as ArrivedSocket)[ARRIVAL] ?? UNTRUSTED;
}
