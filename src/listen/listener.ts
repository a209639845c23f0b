import { chmodSync } from "node:fs";
import http from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { guarded } from "../base/guard.ts";
import { spellAddress } from "../config/address-schema.ts";
import type { ListenConfig } from "../config/listen-schema.ts";
import type { ListenAddress, ServerConfig } from "../config/server-schema.ts";
import { UNIX_PEER } from "../http/address.ts";
import { addressName } from "../http/address-name.ts";
import type { Admission } from "../limits/capacity.ts";
import type { ListenerCounts } from "../observe/connection-metrics.ts";
import { takeConnectionListener } from "../process/internals/connection-listener.ts";
import { allowHalfOpen } from "../process/internals/half-open.ts";
import { setMaxHeaderSize } from "../process/internals/max-header-size.ts";
import { ParserOfConnection } from "../process/internals/parser-of-connection.ts";
import { lastingConnections } from "../process/lasting-connections.ts";
import { type Arrival, arrivalOf, noteArrival } from "../request/arrival.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { FastPath } from "./fast-path.ts";
import { Http1Requests } from "./http1-requests.ts";
import { Http2Sessions } from "./http2-sessions.ts";
import { listenOn } from "./listen.ts";
import { type ProxyHeader, readProxyHeader } from "./proxy-protocol.ts";
import { TlsHandshakes } from "./tls-handshakes.ts";

/** In ms. nginx keeps idle connections for 60 s; if sluice closed first, nginx would answer 502. */
const KEEP_ALIVE_MS = 75_000;

/** How often, in ms, Node looks for late requests; with its default of 30 s they could take 90 s. */
const CHECK_INTERVAL_MS = 1_000;

/** The longest time, in ms, for a PROXY protocol header or a TLS handshake; `limits.requestTimeout` if that is less. */
const MAX_OPENING_MS = 10_000;

/** The reasons of refused connections, as the metrics name them. */
const REFUSALS = { refused: "limit", exhausted: "out_of_files", closed: "overflow" } as const;

/** One listening address; gives each of its connections to TLS, HTTP/2, or the fast path. */
export class Listener {
  readonly address: ListenAddress;
  readonly #server: http.Server;
  readonly #http1: Http1Requests;
  /** Reads the plain requests, which most requests are. */
  readonly #fastPath: FastPath;
  readonly #runtime: Runtime;
  readonly #http2: Http2Sessions;
  #listen: ListenConfig;
  #tls: TlsHandshakes | undefined;
  /** Connections that wait for admission, a PROXY protocol header or a TLS handshake. */
  readonly #pending = new Set<Socket>();
  readonly #counts: ListenerCounts;
  /** The listeners of `close`, by admission. All connections share them: closures for each would be held with it. */
  readonly #onClose = {
    served: this.#closing("served"),
    refused: this.#closing("refused"),
    exhausted: this.#closing("exhausted"),
    closed: this.#closing("closed"),
  } as const satisfies Record<Admission, (this: Socket) => void>;

  constructor(listen: ListenConfig, { limits }: ServerConfig, runtime: Runtime) {
    this.address = listen.address;
    this.#runtime = runtime;
    this.#listen = listen;
    this.#counts = runtime.telemetry.metrics.connections.of(spellAddress(listen.address));
    this.#tls = this.#createTls(listen);
    this.#http2 = new Http2Sessions(runtime, KEEP_ALIVE_MS);
    this.#server = http.createServer({
      maxHeaderSize: limits.headerBytes,
      // For bodies see BodyTimer: Node would bound the time of a whole request, also while its response is under way.
      requestTimeout: 0,
      headersTimeout: limits.requestTimeout,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
      highWaterMark: 16 * 1024,
      // `checkHead` refuses it with the usual JSON body.
      requireHostHeader: false,
      insecureHTTPParser: false,
    });
    // Node would silently drop the fields beyond its own bound; `limits.headers` refuses them.
    this.#server.maxHeadersCount = 0;
    allowHalfOpen(this.#server);
    const parser = new ParserOfConnection(takeConnectionListener(this.#server));
    this.#server.on("connection", (socket) => this.#guard(socket, () => this.#accept(socket)));
    this.#http1 = new Http1Requests(this.#server, { runtime, parser });
    this.#fastPath = new FastPath(runtime, KEEP_ALIVE_MS, {
      handOver: (socket) => parser.parse(socket),
      timedOut: (socket) => this.#http1.timeOut(socket),
    });
  }

  /** The address as the configuration spells it, with the port that the system chose for port 0. */
  get name(): string {
    return addressName(this.#server.address());
  }

  /** Starts to listen; rejects with the system's error. */
  async listen(): Promise<void> {
    await listenOn(this.#server, this.address);
    // An error of one accepted connection; without a listener it would end the process.
    this.#server.on("error", (err) => this.#runtime.acceptFailed(err));
    this.#setMode(this.#listen);
  }

  /** Applies a new configuration of this address, from the next connection or request on. */
  apply(listen: ListenConfig, { limits }: ServerConfig): void {
    const before = this.#listen;
    this.#listen = listen;
    const isSameKind = (before.http2 === undefined) === (listen.http2 === undefined);
    if (this.#tls !== undefined && listen.tls !== undefined && isSameKind) this.#tls.use(listen.tls);
    else this.#tls = this.#createTls(listen);
    if (before.mode !== listen.mode) this.#setMode(listen);
    setMaxHeaderSize(this.#server, limits.headerBytes);
    this.#server.headersTimeout = limits.requestTimeout;
  }

  /** Accepts no more connections; resolves when the last one is closed. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#http1.close();
      // It also closes the unused connections of browsers and of Node's fetch, which node:http treats as busy.
      this.#fastPath.close();
      this.#http2.close();
      for (const socket of this.#pending) socket.destroy();
    });
  }

  closeAllConnections(): void {
    this.#server.closeAllConnections();
    this.#fastPath.closeAllConnections();
    this.#http2.closeAllConnections();
    for (const socket of this.#pending) socket.destroy();
  }

  /** Admits a connection; next come the PROXY protocol header, TLS, and the protocol that TLS has negotiated. */
  #accept(socket: Socket): void {
    // Read now: after a reset the system no longer knows the address, which access lists need.
    const peer = this.#peerOf(socket);
    if (peer === undefined) {
      this.#refuseNameless(socket);
      return;
    }
    this.#counts.accepted++;
    const admission = this.#runtime.capacity.enter();
    lastingConnections.add(socket);
    // Not `once`: its wrapper would be held as long as the connection.
    socket.on("close", this.#onClose[typeof admission === "string" ? admission : "served"]);
    if (typeof admission === "string") this.#admit(socket, peer, admission);
    else this.#wait(socket, peer, admission).catch((error: unknown) => this.#fault(socket, error));
  }

  #closing(admission: Admission): (this: Socket) => void {
    const listener = this;
    return function (this: Socket): void {
      try {
        listener.#closed(this, admission);
      } catch (error) {
        listener.#runtime.onFault(error);
      }
    };
  }

  #closed(socket: Socket, admission: Admission): void {
    this.#counts.closed++;
    this.#pending.delete(socket);
    lastingConnections.delete(socket);
    this.#runtime.capacity.leave(admission);
  }

  /** Returns the client's address; undefined if the client has reset the connection before it was accepted. */
  #peerOf(socket: Socket): string | undefined {
    return "path" in this.address ? UNIX_PEER : socket.remoteAddress;
  }

  /** Ends a connection that its client has reset: the client can receive nothing, and no request of it is forwarded. */
  #refuseNameless(socket: Socket): void {
    socket.destroy();
    this.#runtime.log.debug("connection reset before it was accepted");
  }

  /** Waits until the primary, which counts connections for all workers, has replied; bytes wait in the socket. */
  async #wait(socket: Socket, peer: string, admission: Promise<Admission>): Promise<void> {
    this.#pending.add(socket);
    // After a reset `close` follows; there is no other listener yet.
    const ignore = () => {};
    socket.on("error", ignore);
    const settled = await admission;
    socket.removeListener("error", ignore);
    if (this.#pending.delete(socket)) this.#admit(socket, peer, settled);
  }

  #admit(socket: Socket, peer: string, admission: Admission): void {
    if (admission !== "served") this.#counts.refused[REFUSALS[admission]]++;
    const arrival = { peer, tls: false, isOverflow: admission === "refused" };
    if (admission === "closed") socket.destroy();
    else if (this.#listen.proxyProtocol) this.#readProxyHeader(socket, arrival);
    else this.#begin(socket, arrival);
  }

  #readProxyHeader(socket: Socket, arrival: Arrival): void {
    this.#pending.add(socket);
    const begin = (source: ProxyHeader["source"]) => {
      this.#begin(socket, source.own ? arrival : { ...arrival, peer: source.address });
    };
    readProxyHeader(
      socket,
      this.#openingMs,
      guarded((error) => this.#fault(socket, error), begin),
    );
  }

  #begin(socket: Socket, arrival: Arrival): void {
    noteArrival(socket, arrival);
    this.#pending.delete(socket);
    if (this.#tls === undefined) {
      this.#toHttp1(socket);
    } else {
      this.#pending.add(socket);
      this.#tls.accept(socket);
    }
  }

  #onSecure(socket: TLSSocket, raw: Socket): void {
    this.#pending.delete(raw);
    noteArrival(socket, { ...arrivalOf(raw), tls: true });
    const { http2 } = this.#listen;
    if (socket.alpnProtocol !== "h2" || http2 === undefined) {
      this.#toHttp1(socket);
      return;
    }
    this.#counts.http2++;
    raw.on("close", () => this.#counts.http2--);
    this.#http2.accept(socket, http2);
  }

  #createTls({ tls, http2 }: ListenConfig): TlsHandshakes | undefined {
    if (tls === undefined) return undefined;
    this.#counts.handshakes ??= { success: 0, failure: 0 };
    return new TlsHandshakes({
      certificates: tls,
      http2: http2 !== undefined,
      timeoutMs: this.#openingMs,
      log: this.#runtime.log,
      counts: this.#counts.handshakes,
      onSecure: (socket, raw) => this.#guard(socket, () => this.#onSecure(socket, raw)),
    });
  }

  /** A fault outside of any exchange ends the connection on which it happened. */
  #guard(socket: Socket, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#fault(socket, error);
    }
  }

  #fault(socket: Socket, error: unknown): void {
    this.#runtime.onFault(error);
    socket.destroy();
  }

  /** The longest time, in ms, for a PROXY protocol header, and again for a handshake. */
  get #openingMs(): number {
    return Math.min(MAX_OPENING_MS, this.#runtime.config.server.limits.requestTimeout);
  }

  #setMode({ address, mode }: ListenConfig): void {
    if ("path" in address && mode !== undefined) chmodSync(address.path, mode);
  }

  /** Takes a connection on which HTTP/1 is spoken. */
  #toHttp1(socket: Socket): void {
    this.#fastPath.accept(socket);
  }
}
