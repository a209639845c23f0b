import http from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { UNIX_PEER } from "../base/address.ts";
import type { ListenConfig } from "../config/listen-schema.ts";
import type { ListenAddress, ServerConfig } from "../config/server-schema.ts";
import { addressName } from "./address-name.ts";
import { Arrivals } from "./arrival.ts";
import { Http1Requests } from "./http1-requests.ts";
import { listenOn } from "./listen.ts";
import type { Runtime } from "./runtime.ts";

/** nginx keeps idle connections to us for 60 s; whoever closes first must not be us (a 502 there). */
const KEEP_ALIVE_MS = 75_000;

/** How often Node looks for requests that take too long; its default of 30 s would let them take 90. */
const CHECK_INTERVAL_MS = 1_000;

/** The time after which the kernel asks a silent peer whether it is still there. */
const TCP_KEEP_ALIVE_MS = 60_000;

/** One listening address, its connections, and the place that says what becomes of each. */
export class Listener {
  readonly address: ListenAddress;
  readonly #server: http.Server;
  readonly #http1: Http1Requests;
  /** Node's own listener for connections: its HTTP/1 parser. */
  readonly #parse: (socket: Duplex) => void;
  readonly #arrivals = new Arrivals();
  /** Every connection, for the ones on which no byte has come: Node counts those as busy. */
  readonly #connections = new Set<Socket>();

  constructor({ address }: ListenConfig, { limits }: ServerConfig, runtime: Runtime) {
    this.address = address;
    this.#server = http.createServer({
      maxHeaderSize: limits.headerBytes,
      requestTimeout: limits.requestTimeout,
      headersTimeout: limits.requestTimeout,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      noDelay: true,
      highWaterMark: 16 * 1024,
      // Refused with our own body in `checkHead`, as all that is refused.
      requireHostHeader: false,
      insecureHTTPParser: false,
    });
    // Node would drop fields beyond its own count without a word; `limits.headers` refuses them.
    this.#server.maxHeadersCount = 0;
    this.#parse = takeOver(this.#server, "connection");
    this.#server.on("connection", (socket) => this.#accept(socket));
    this.#http1 = new Http1Requests(this.#server, {
      runtime,
      arrivals: this.#arrivals,
      parse: this.#parse,
    });
  }

  /** Where it listens, in the form the configuration has, a free port filled in. */
  get name(): string {
    return addressName(this.#server.address());
  }

  /** Starts to listen; rejects with the system's error. */
  async listen(): Promise<void> {
    await listenOn(this.#server, this.address);
  }

  /** Takes what a new configuration says of this address; it holds from the next connection or request on. */
  apply(_listen: ListenConfig, { limits }: ServerConfig): void {
    // Node looks at it for each new connection, though only the option is documented.
    Object.assign(this.#server, { maxHeaderSize: limits.headerBytes });
    this.#server.requestTimeout = limits.requestTimeout;
    this.#server.headersTimeout = limits.requestTimeout;
  }

  /** Accepts no more connections; resolves when the last one is closed. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#http1.close();
      // Browsers and Node's fetch open spare connections; one of them held the end for the whole grace.
      for (const socket of this.#connections) if (socket.bytesRead === 0) socket.destroy();
    });
  }

  closeAllConnections(): void {
    this.#server.closeAllConnections();
  }

  #accept(socket: Socket): void {
    this.#connections.add(socket);
    socket.once("close", () => this.#connections.delete(socket));
    const peer = "path" in this.address ? UNIX_PEER : socket.remoteAddress;
    this.#arrivals.set(socket, { peer, tls: false });
    this.#toHttp1(socket);
  }

  /** Where a connection goes on which HTTP/1 is spoken. */
  #toHttp1(socket: Socket): void {
    this.#parse(socket);
  }
}

/** Takes the listener off a server that Node has put there, to call it where it is wanted. */
function takeOver(server: http.Server, event: "connection"): (socket: Duplex) => void {
  const [own] = server.listeners(event);
  if (own === undefined) throw new TypeError(`Node listens for ${event}`);
  server.removeAllListeners(event);
  return (socket) => Reflect.apply(own, server, [socket]);
}
