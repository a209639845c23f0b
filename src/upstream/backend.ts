import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { type ConnectionOptions, createSecureContext } from "node:tls";
import type { BackendAddress } from "../config/scalars.ts";
import type { BackendConfig, UpstreamTls } from "../config/upstream-schema.ts";
import type { ConnectionTarget } from "./connection.ts";
import { ConnectionPool } from "./connection-pool.ts";
import { PassiveHealth } from "./passive-health.ts";

/** One address of an upstream: its connections, what is under way to it, and whether it is well. */
export class Backend {
  readonly address: BackendAddress;
  readonly weight: number;
  readonly isBackup: boolean;
  /** What requests tell of it. */
  readonly passive: PassiveHealth;
  /** What the active checks tell of it; true until they know better, and without them. */
  isHealthy = true;
  readonly connections: ConnectionPool;
  /** Of Node's own client, which sends checks and upgrades: one connection for each. */
  readonly agent: http.Agent;
  #inFlight = 0;
  #isRetired = false;

  constructor(config: BackendConfig, tls: UpstreamTls | undefined, lookup: LookupFunction) {
    this.address = config.url;
    this.weight = config.weight;
    this.isBackup = config.backup;
    this.passive = new PassiveHealth(config);
    const verification = this.address.tls ? verificationOf(this.address, tls) : undefined;
    this.connections = new ConnectionPool(targetOf(this.address, lookup, verification));
    const options = { noDelay: true, lookup };
    this.agent =
      verification === undefined ? new http.Agent(options) : new https.Agent({ ...options, ...verification });
  }

  /** As configured, for logs. */
  get url(): string {
    return this.address.url;
  }

  /** Requests, streams and tunnels that have not ended. */
  get inFlight(): number {
    return this.#inFlight;
  }

  get isAvailable(): boolean {
    return this.isHealthy && this.passive.isAvailable;
  }

  /** Counts what is sent to it, until the returned function is called; calling that again does nothing. */
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

  /** Closes the connections once nothing is under way on them; a late request still gets one. */
  retire(): void {
    this.#isRetired = true;
    if (this.#inFlight === 0) this.close();
  }

  /**
   * Begins a request of Node's own client, on a connection of its own.
   *
   * `fields` are sent as they are, so Host and the framing fields must be among them.
   */
  request(method: string, path: string, fields: readonly string[]): http.ClientRequest {
    const { host, port, socketPath, tls } = this.address;
    const where = socketPath === undefined ? { host, port } : { socketPath };
    return (tls ? https : http).request({ ...where, method, path, headers: fields, agent: this.agent });
  }

  /** Closes idle connections, and those in use. */
  close(): void {
    this.connections.close();
    this.agent.destroy();
  }
}

function targetOf(
  { host, port, socketPath }: BackendAddress,
  lookup: LookupFunction,
  verification: Verification | undefined,
): ConnectionTarget {
  const place = socketPath === undefined ? { host, port, lookup } : { path: socketPath };
  const options = { ...place, noDelay: true };
  if (verification === undefined) return { tls: false, options };
  return { tls: true, options: { ...options, ...verification, ALPNProtocols: ["http/1.1"] } };
}

/** Everything that verifies a certificate, said outright. */
type Verification = Required<Pick<ConnectionOptions, "secureContext" | "servername" | "rejectUnauthorized">>;

function verificationOf({ host }: BackendAddress, tls: UpstreamTls | undefined): Verification {
  return {
    // Made once: Node would read the authorities anew for each connection.
    secureContext: createSecureContext(tls?.ca === undefined ? {} : { ca: tls.ca }),
    // Node would take the name from a Host field; what is verified is the backend's own.
    servername: tls?.serverName ?? (isIP(host) === 0 ? host : ""),
    // Said even when true: unsaid, NODE_TLS_REJECT_UNAUTHORIZED=0 would switch it off.
    rejectUnauthorized: tls?.verify ?? true,
  };
}
