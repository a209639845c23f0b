import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { type ConnectionOptions, createSecureContext } from "node:tls";
import type { BackendAddress } from "../config/scalars.ts";
import type { BackendConfig, UpstreamConfig, UpstreamTls } from "../config/upstream-schema.ts";
import { BackendRecord } from "./backend-record.ts";
import type { ConnectionWay } from "./backend-socket.ts";
import { ConnectionPool } from "./connection-pool.ts";
import { PassiveHealth } from "./passive-health.ts";

/** One server of an upstream: its connections, the requests in flight, and its health. */
export class Backend {
  readonly address: BackendAddress;
  readonly weight: number;
  readonly isBackup: boolean;
  /** Its health as requests show it. */
  readonly passive: PassiveHealth;
  /** Its health as active checks show it; true before the first result and without checks. */
  isHealthy = true;
  /** The results of its attempts and checks, for people and metrics. */
  readonly record = new BackendRecord();
  readonly connections: ConnectionPool;
  /** The agent of Node's own client, which sends checks and upgrades, each on a connection of its own. */
  readonly agent: http.Agent;
  #inFlight = 0;
  #isRetired = false;

  constructor(
    config: BackendConfig,
    { tls, headerBytes }: Pick<UpstreamConfig, "tls" | "headerBytes">,
    lookup: LookupFunction,
  ) {
    this.address = config.url;
    this.weight = config.weight;
    this.isBackup = config.backup;
    this.passive = new PassiveHealth(config);
    const verification = this.address.tls ? verificationOf(this.address, tls) : undefined;
    this.connections = new ConnectionPool({ headerBytes, ...wayTo(this.address, lookup, verification) });
    const options = { noDelay: true, lookup };
    this.agent =
      verification === undefined ? new http.Agent(options) : new https.Agent({ ...options, ...verification });
  }

  /** Its URL as configured, for logs. */
  get url(): string {
    return this.address.url;
  }

  /** The number of requests, streams and tunnels that have not ended. */
  get inFlight(): number {
    return this.#inFlight;
  }

  get isAvailable(): boolean {
    return this.isHealthy && this.passive.isAvailable;
  }

  /** Counts a request as in flight until the returned function is called; a second call does nothing. */
  acquire(): () => void {
    this.passive.begin();
    this.#inFlight++;
    let isHeld = true;
    return () => {
      if (isHeld) this.#inFlight--;
      isHeld = false;
      if (this.#isRetired && this.#inFlight === 0) this.close();
    };
  }

  /** Closes the connections when no request is in flight; a late request still gets one. */
  retire(): void {
    this.#isRetired = true;
    if (this.#inFlight === 0) this.close();
  }

  /**
   * Begins a request with Node's own client, on a connection of its own.
   *
   * `fields` are sent as they are, so Host and the framing fields must be among them.
   */
  request(method: string, path: string, fields: readonly string[]): http.ClientRequest {
    const { host, port, socketPath, tls } = this.address;
    const where = socketPath === undefined ? { host, port } : { socketPath };
    return (tls ? https : http).request({ ...where, method, path, headers: fields, agent: this.agent });
  }

  /** Closes all connections, those in use too. */
  close(): void {
    this.connections.close();
    this.agent.destroy();
  }
}

function wayTo(
  { host, port, socketPath }: BackendAddress,
  lookup: LookupFunction,
  verification: Verification | undefined,
): ConnectionWay {
  const place = socketPath === undefined ? { host, port, lookup } : { path: socketPath };
  const options = { ...place, noDelay: true };
  if (verification === undefined) return { tls: false, options };
  return { tls: true, options: { ...options, ...verification, ALPNProtocols: ["http/1.1"] } };
}

/** The options that verify a certificate, all of them explicit. */
type Verification = Required<Pick<ConnectionOptions, "secureContext" | "servername" | "rejectUnauthorized">>;

function verificationOf({ host }: BackendAddress, tls: UpstreamTls | undefined): Verification {
  return {
    // Made once: Node would parse the certificate authorities for each connection.
    secureContext: createSecureContext(tls?.ca === undefined ? {} : { ca: tls.ca }),
    // Without it Node takes the name from a Host field; the certificate must name the backend.
    servername: tls?.serverName ?? (isIP(host) === 0 ? host : ""),
    // Explicit even if true: otherwise NODE_TLS_REJECT_UNAUTHORIZED=0 would switch it off.
    rejectUnauthorized: tls?.verify ?? true,
  };
}
