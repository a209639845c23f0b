import type { Duplex } from "node:stream";
import type { Exchange } from "../exchange/exchange.ts";
import { type RawFields, someValue } from "../http/fields.ts";
import type { Backend } from "./backend.ts";
import type { Connection, ConnectionKeeper, ConnectionOwner } from "./connection.ts";

const CREDENTIALS = /^(?:NTLM|Negotiate)(?:\s|$)/i;
const CHALLENGE = /(?:^|,)\s*(?:NTLM|Negotiate)(?:[\s,]|$)/i;

/** A socket's property, not a WeakMap: V8 walks a WeakMap at each collection of young objects. */
const PINS = Symbol("pinned connections");
type PinningClient = Duplex & { [PINS]?: PinnedConnections };

/**
 * The backend connections that belong to one connection of a client.
 *
 * NTLM and Negotiate authenticate the connection (RFC 4559): the backend takes every later request on it for one of the
 * same user. So it serves no other client, and is closed with the client's connection; the client's further requests to
 * that backend use it, as the rest of the handshake must.
 */
export class PinnedConnections implements ConnectionKeeper {
  /** At most one for each backend: by HTTP/1.1 a client has one request at a time. */
  readonly #idle = new Map<ConnectionOwner, Connection>();
  readonly #owners = new WeakSet<ConnectionOwner>();
  /** A trusted proxy may send requests of several clients on its connection. */
  readonly #clientAddress: string;
  readonly #client: PinningClient;
  #isClosed = false;

  private constructor(client: PinningClient, clientAddress: string) {
    this.#client = client;
    this.#clientAddress = clientAddress;
    this.#isClosed = client.destroyed;
    client.once("close", this.#close);
    client[PINS] = this;
  }

  /** Returns those of an exchange's client; undefined if it has none. */
  static of({ connection, client }: Pick<Exchange, "connection" | "client">): PinnedConnections | undefined {
    const pins = (connection as PinningClient | undefined)?.[PINS];
    if (pins === undefined || pins.#clientAddress === client.address) return pins;
    pins.#close();
    return undefined;
  }

  /** Returns those of an exchange's client, with this backend among them; undefined without a client's connection. */
  static pin(exchange: Pick<Exchange, "connection" | "client">, owner: ConnectionOwner) {
    const { connection, client } = exchange;
    if (connection === undefined) return undefined;
    const pins = PinnedConnections.of(exchange) ?? new PinnedConnections(connection, client.address);
    pins.#owners.add(owner);
    return pins;
  }

  /** Whether connections to a backend are pinned. */
  has(owner: ConnectionOwner): boolean {
    return this.#owners.has(owner);
  }

  /** Returns the idle connection to a backend, which is then in use; undefined if there is none. */
  take(owner: ConnectionOwner): Connection | undefined {
    const connection = this.#idle.get(owner);
    this.#idle.delete(owner);
    if (connection === undefined || connection.idleUntil > performance.now()) return connection;
    connection.destroy();
    return undefined;
  }

  put(connection: Connection): void {
    if (this.#isClosed || this.#idle.has(connection.owner)) connection.destroy();
    else this.#idle.set(connection.owner, connection);
  }

  remove(connection: Connection): void {
    if (this.#idle.get(connection.owner) === connection) this.#idle.delete(connection.owner);
  }

  readonly #close = (): void => {
    this.#isClosed = true;
    this.#client.off("close", this.#close);
    delete this.#client[PINS];
    for (const connection of [...this.#idle.values()]) connection.destroy();
  };
}

/** Returns the backend to which the client's connections are pinned; undefined without one that may be tried. */
export function pinnedBackend(
  exchange: Exchange,
  backends: readonly Backend[],
  tried: readonly Backend[],
): Backend | undefined {
  const pins = PinnedConnections.of(exchange);
  if (pins === undefined) return undefined;
  return backends.find(
    (backend) => pins.has(backend.connections) && backend.isAvailable && !tried.includes(backend),
  );
}

/** Whether a request authenticates its backend connection, or may need one that an earlier request has authenticated. */
export function needsOwnConnection(exchange: Exchange): boolean {
  return authenticatesConnection(exchange.request.rawHeaders) || PinnedConnections.of(exchange) !== undefined;
}

/** Whether a request authenticates its connection. */
export function authenticatesConnection(requestFields: RawFields): boolean {
  return someValue(requestFields, "authorization", (value) => CREDENTIALS.test(value));
}

/** Whether a response asks its client to authenticate the connection, or is a step of that. */
export function challengesConnection(responseFields: RawFields): boolean {
  return someValue(responseFields, "www-authenticate", (value) => CHALLENGE.test(value));
}
