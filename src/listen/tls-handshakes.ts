import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Certificate } from "../config/certificate-file.ts";
import type { HandshakeCounts } from "../observe/connection-metrics.ts";
import type { Log } from "../observe/log.ts";
import { destroyIfWritesHang } from "../process/internals/tls-hung-writes.ts";
import { underlyingSocket } from "../process/internals/underlying-socket.ts";
import { contextOptions, TlsCertificates } from "./tls-certificates.ts";

/** The options of a listener's TLS handshakes, and the callback for connections after them. */
export interface TlsSetup {
  readonly certificates: readonly Certificate[];
  readonly http2: boolean;
  /** The longest handshake, in ms; a slower connection is destroyed. */
  readonly timeoutMs: number;
  readonly log: Log;
  /** The numbers of handshakes by result. */
  readonly counts: HandshakeCounts;
  onSecure(socket: TLSSocket, raw: Socket): void;
}

/** The TLS of one listener. Its server does not listen: it gets connections from the listener. */
export class TlsHandshakes {
  readonly #server: Server;
  #certificates: TlsCertificates;

  constructor({ certificates, http2, timeoutMs, log, counts, onSecure }: TlsSetup) {
    this.#certificates = new TlsCertificates(certificates);
    this.#server = createServer({
      ...(certificates[0] && contextOptions(certificates[0])),
      // The server's order counts: a client with both gets HTTP/2. A client with neither is refused in the handshake.
      ALPNProtocols: http2 ? ["h2", "http/1.1"] : ["http/1.1"],
      handshakeTimeout: timeoutMs,
      SNICallback: (name, done) => done(null, this.#choose(name)),
      noDelay: true,
      highWaterMark: 16 * 1024,
    });
    this.#server.on("secureConnection", (socket) => {
      counts.success++;
      const raw = underlyingSocket(socket);
      // An error before the next listener is added would end the process.
      socket.on("error", () => socket.destroy());
      destroyIfWritesHang(socket);
      if (raw === undefined) socket.destroy();
      else onSecure(socket, raw);
    });
    this.#server.on("tlsClientError", ({ message }, socket) => {
      counts.failure++;
      log.debug({ reason: message }, "handshake failed");
      socket.destroy();
    });
  }

  /** Begins the handshake of a connection. */
  accept(raw: Socket): void {
    this.#server.emit("connection", raw);
  }

  /** Uses other certificates for later handshakes; open connections keep theirs. */
  use(certificates: readonly Certificate[]): void {
    const before = this.#certificates;
    this.#certificates = new TlsCertificates(certificates, before);
    const [first] = certificates;
    // A new context has new keys for session tickets: no client could resume its session.
    if (first !== undefined && before.first !== this.#certificates.first)
      this.#server.setSecureContext(first);
  }

  /** Never throws: an error thrown in a handshake callback ends the process (CVE-2026-21637). */
  #choose(name: string) {
    try {
      return this.#certificates.choose(name);
    } catch {
      return this.#certificates.first;
    }
  }
}
