import { Counter, Gauge, type Registry } from "prom-client";

/**
 * Why a connection was refused: `limits.connections`, no file that is left to open, or too many refused connections at
 * once (`overflow`): the last ones are closed without a response.
 */
export type ConnectionRefusal = "limit" | "out_of_files" | "overflow";

/** The connections of one listening address so far, as plain numbers that a scrape reads. */
export class ListenerCounts {
  accepted = 0;
  closed = 0;
  /** Open connections on which TLS has negotiated HTTP/2. */
  http2 = 0;
  readonly refused: Record<ConnectionRefusal, number> = { limit: 0, out_of_files: 0, overflow: 0 };
  /** Undefined for an address without TLS. */
  handshakes: HandshakeCounts | undefined;
}

/** TLS handshakes by result. */
export interface HandshakeCounts {
  success: number;
  failure: number;
}

/** Counts the connections of clients, by listening address. */
export class ConnectionMetrics {
  /** By address as the configuration spells it. The counts of an address outlive its listener, as a counter must. */
  readonly #listeners = new Map<string, ListenerCounts>();

  constructor(registers: Registry[]) {
    const listeners = this.#listeners;
    new Gauge({
      name: "sluice_connections_active",
      help: "Open connections of clients, by listening address and protocol.",
      labelNames: ["listener", "protocol"],
      registers,
      collect() {
        this.reset();
        for (const [listener, { accepted, closed, http2 }] of listeners) {
          this.set({ listener, protocol: "http/1.1" }, accepted - closed - http2);
          this.set({ listener, protocol: "h2" }, http2);
        }
      },
    });
    new Counter({
      name: "sluice_connections_accepted_total",
      help: "Connections of clients that were accepted, refused ones included.",
      labelNames: ["listener"],
      registers,
      collect() {
        this.reset();
        for (const [listener, { accepted }] of listeners) this.inc({ listener }, accepted);
      },
    });
    new Counter({
      name: "sluice_connections_refused_total",
      help: "Connections of clients that got a 503, or were closed at once, by reason.",
      labelNames: ["listener", "reason"],
      registers,
      collect() {
        this.reset();
        for (const [listener, { refused }] of listeners)
          for (const [reason, count] of Object.entries(refused)) this.inc({ listener, reason }, count);
      },
    });
    new Counter({
      name: "sluice_tls_handshakes_total",
      help: "TLS handshakes of clients, by result.",
      labelNames: ["listener", "result"],
      registers,
      collect() {
        this.reset();
        for (const [listener, { handshakes }] of listeners)
          for (const [result, count] of Object.entries(handshakes ?? {}))
            this.inc({ listener, result }, count);
      },
    });
  }

  /** Returns the counts of a listening address; those of an address that was used before go on. */
  of(listener: string): ListenerCounts {
    let counts = this.#listeners.get(listener);
    if (counts === undefined) {
      counts = new ListenerCounts();
      this.#listeners.set(listener, counts);
    }
    return counts;
  }
}
