import http from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import type { UpstreamConfig } from "../config/upstream-schema.ts";
import type { BackendAddress } from "../config/scalars.ts";

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

/**
 * Keeps a socket that falls idle from handing stray bytes to the request that uses it next.
 *
 * A backend that sends more than one response to one request would otherwise answer a stranger
 * (response splitting).
 */
function guardIdleSockets<A extends http.Agent>(agent: A): A {
  const strayBytes = new WeakMap<object, () => void>();
  const keep = agent.keepSocketAlive.bind(agent);
  const reuse = agent.reuseSocket.bind(agent);
  agent.keepSocketAlive = (socket) => {
    const destroy = () => (socket as Socket).destroy();
    strayBytes.set(socket, destroy);
    socket.on("data", destroy);
    return keep(socket);
  };
  agent.reuseSocket = (socket, request) => {
    const destroy = strayBytes.get(socket);
    if (destroy !== undefined) socket.removeListener("data", destroy);
    reuse(socket, request);
  };
  return agent;
}

/** Where a route's requests go: its backend, its timers, and its idle sockets. */
export class Upstream {
  readonly backend: BackendAddress;
  readonly connectTimeoutMs: number;
  readonly responseHeaderTimeoutMs: number;
  readonly preservesHost: boolean;
  readonly #agent: http.Agent;

  constructor(config: UpstreamConfig) {
    const [first] = config.backends;
    if (first === undefined) throw new TypeError("an upstream has a backend");
    this.backend = first.url;
    this.connectTimeoutMs = config.connectTimeout;
    this.responseHeaderTimeoutMs = config.responseHeaderTimeout;
    this.preservesHost = config.hostHeader === "preserve";
    this.#agent = guardIdleSockets(
      this.backend.tls ? new https.Agent(KEEP_ALIVE) : new http.Agent(KEEP_ALIVE),
    );
  }

  /**
   * Begins a request; `reuse: false` takes a connection of its own and closes it afterwards.
   *
   * `fields` are sent as they are, so Host and the framing fields must be among them.
   */
  request(method: string, path: string, fields: readonly string[], reuse: boolean): http.ClientRequest {
    const { host, port, socketPath, tls } = this.backend;
    const where = socketPath === undefined ? { host, port } : { socketPath };
    return (tls ? https : http).request({
      ...where,
      method,
      path,
      headers: fields,
      agent: reuse ? this.#agent : false,
    });
  }

  /** Closes idle sockets, and those in use. */
  close(): void {
    this.#agent.destroy();
  }
}
