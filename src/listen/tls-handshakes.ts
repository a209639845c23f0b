import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Certificate } from "../config/certificate-file.ts";
import type { Log } from "../observe/log.ts";
import { underlyingSocket } from "../process/internals/underlying-socket.ts";
import { contextOptions, TlsCertificates } from "./tls-certificates.ts";

/** How the handshakes of a listener are made, and what becomes of a connection that has it behind itself. */
export interface TlsSetup {
  readonly certificates: readonly Certificate[];
  readonly http2: boolean;
  /** In ms; a connection that takes longer is destroyed. */
  readonly timeoutMs: number;
  readonly log: Log;
  onSecure(socket: TLSSocket, raw: Socket): void;
}

/** The TLS of one listener. It does not listen: connections are handed to it. */
export class TlsHandshakes {
  readonly #server: Server;
  #certificates: TlsCertificates;

  constructor({ certificates, http2, timeoutMs, log, onSecure }: TlsSetup) {
    this.#certificates = new TlsCertificates(certificates);
    this.#server = createServer({
      ...(certificates[0] && contextOptions(certificates[0])),
      // In our order: a client that can have both gets HTTP/2. One with neither is refused in the handshake.
      ALPNProtocols: http2 ? ["h2", "http/1.1"] : ["http/1.1"],
      handshakeTimeout: timeoutMs,
      SNICallback: (name, done) => done(null, this.#choose(name)),
      noDelay: true,
      highWaterMark: 16 * 1024,
    });
    this.#server.on("secureConnection", (socket) => {
      const raw = underlyingSocket(socket);
      // An error between this turn and the next listener would be nobody's, and end the process.
      socket.on("error", () => socket.destroy());
      if (raw === undefined) socket.destroy();
      else onSecure(socket, raw);
    });
    this.#server.on("tlsClientError", ({ message }, socket) => {
      log.debug({ reason: message }, "handshake failed");
      socket.destroy();
    });
  }

  /** Begins the handshake of a connection. */
  accept(raw: Socket): void {
    this.#server.emit("connection", raw);
  }

  /** What handshakes from now on get; connections keep what they have. */
  use(certificates: readonly Certificate[]): void {
    const before = this.#certificates;
    this.#certificates = new TlsCertificates(certificates, before);
    const [first] = certificates;
    // A new context has new keys for its tickets: no client could resume its session.
    if (first !== undefined && before.first !== this.#certificates.first)
      this.#server.setSecureContext(first);
  }

  /** Throws at nothing: what a callback of a handshake throws ends the process (CVE-2026-21637). */
  #choose(name: string) {
    try {
      return this.#certificates.choose(name);
    } catch {
      return this.#certificates.first;
    }
  }
}
