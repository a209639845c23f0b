import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterTest } from "./after-test.ts";

/** A network between two programs that a test can partition. */
export class TcpProxy {
  readonly port: number;
  /** The number of connections accepted so far. */
  connections = 0;
  /** The target of new connections; a change simulates the failover of an address. */
  target: number;
  /** `cut` refuses and resets connections; `silent` keeps them open and forwards nothing, like a lost route. */
  #state: "open" | "cut" | "silent" = "open";
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (socket) => this.#join(socket));
  }

  /** The number of current connections, both ends counted. */
  get openSockets(): number {
    return this.#sockets.size;
  }

  cut(): void {
    this.#state = "cut";
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  silence(): void {
    this.#state = "silent";
    for (const socket of this.#sockets) socket.pause();
  }

  heal(): void {
    this.#state = "open";
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    this.connections++;
    if (this.#state === "cut") {
      near.resetAndDestroy();
      return;
    }
    const far = connect(this.target, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on("data", (bytes) => to.write(bytes));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      if (this.#state === "silent") from.pause();
    }
  }
}

/** Starts a proxy that forwards connections to a port of 127.0.0.1; closes it when the test ends. */
export async function startTcpProxy(target: number): Promise<TcpProxy> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy = new TcpProxy(server, target);
  afterTest(() => proxy.close());
  return proxy;
}
