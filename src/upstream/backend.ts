import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { createSecureContext } from "node:tls";
import type { BackendAddress } from "../config/scalars.ts";
import type { BackendConfig, UpstreamTls } from "../config/upstream-schema.ts";
import { PassiveHealth } from "./passive-health.ts";

/** Idle sockets kept for each backend; more are closed as they fall idle. */
const MAX_IDLE_SOCKETS = 64;

/** Below the 5 s after which Node's own server, and others, close an idle connection. */
const IDLE_SOCKET_MS = 4_000;

const KEEP_ALIVE = {
  keepAlive: true,
  maxFreeSockets: MAX_IDLE_SOCKETS,
  timeout: IDLE_SOCKET_MS,
  noDelay: true,
};

/** One address of an upstream: its idle sockets, what is under way to it, and whether it is well. */
export class Backend {
  readonly address: BackendAddress;
  readonly weight: number;
  readonly isBackup: boolean;
  /** What requests tell of it. */
  readonly passive: PassiveHealth;
  /** What the active checks tell of it; true until they know better, and without them. */
  isHealthy = true;
  /** For connections that serve one request, or become a tunnel. */
  readonly singleUse: http.Agent;
  readonly #keepAlive: http.Agent;
  #inFlight = 0;
  #isRetired = false;

  constructor(config: BackendConfig, tls: UpstreamTls | undefined, lookup: LookupFunction) {
    this.address = config.url;
    this.weight = config.weight;
    this.isBackup = config.backup;
    this.passive = new PassiveHealth(config);
    this.singleUse = newAgent(this.address, { noDelay: true, lookup }, tls);
    this.#keepAlive = newAgent(this.address, { ...KEEP_ALIVE, lookup }, tls);
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
   * Begins a request; `reuse: false` takes a connection of its own and closes it afterwards.
   *
   * `fields` are sent as they are, so Host and the framing fields must be among them.
   */
  request(method: string, path: string, fields: readonly string[], reuse: boolean): http.ClientRequest {
    const { host, port, socketPath, tls } = this.address;
    const where = socketPath === undefined ? { host, port } : { socketPath };
    return (tls ? https : http).request({
      ...where,
      method,
      path,
      headers: fields,
      agent: reuse ? this.#keepAlive : this.singleUse,
    });
  }

  /** Closes idle sockets, and those in use. */
  close(): void {
    this.#keepAlive.destroy();
    this.singleUse.destroy();
  }
}

/** An agent for one address; everything that verifies a certificate is said outright. */
function newAgent(
  address: BackendAddress,
  options: http.AgentOptions & { lookup: LookupFunction },
  tls: UpstreamTls | undefined,
): http.Agent {
  if (!address.tls) return new http.Agent(options);
  return new https.Agent({
    ...options,
    // Made once: Node would read the authorities anew for each connection.
    secureContext: createSecureContext(tls?.ca === undefined ? {} : { ca: tls.ca }),
    // Node would take the name from a Host field; what is verified is the backend's own.
    servername: tls?.serverName ?? (isIP(address.host) === 0 ? address.host : ""),
    // Said even when true: unsaid, NODE_TLS_REJECT_UNAUTHORIZED=0 would switch it off.
    rejectUnauthorized: tls?.verify ?? true,
  });
}
