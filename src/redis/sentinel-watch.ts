import { EventEmitter } from "node:events";
import type { Redis } from "ioredis";
import { guarded } from "../base/guard.ts";
import { jitter } from "../base/jitter.ts";
import type { RedisConfig, RedisNode } from "../config/redis-schema.ts";
import { loadIoredis } from "./load-ioredis.ts";
import { tlsOptions } from "./tls-options.ts";

/** The channel in which a sentinel names a new master. */
const SWITCH = "+switch-master";
const RETRY_MS = 2_000;

type Sentinel = NonNullable<RedisConfig["sentinel"]>;

/**
 * Listens to all sentinels for a new master.
 *
 * After a planned failover the former master accepts writes for some ten seconds more, until a sentinel makes it a
 * replica. All of them would be lost. ioredis can listen too, but prints each failed connection to a sentinel.
 */
export class SentinelWatch {
  readonly #clients: readonly Redis[];
  readonly #name: string;
  readonly #events = new EventEmitter<{ switch: [peer: string] }>();
  readonly #onFault: (error: unknown) => void;

  constructor(config: RedisConfig, sentinel: Sentinel, onFault: (error: unknown) => void) {
    this.#name = sentinel.name;
    this.#onFault = onFault;
    this.#events.setMaxListeners(0);
    this.#clients = sentinel.nodes.map((node) => this.#listen(node, config, sentinel));
  }

  /** Calls back with the address of each new master, in the form of `ServerConnection.peer`. */
  onSwitch(listener: (peer: string) => void): void {
    this.#events.on("switch", guarded(this.#onFault, listener));
  }

  close(): void {
    for (const client of this.#clients) client.disconnect();
  }

  #listen({ host, port }: RedisNode, { tls, timeout }: RedisConfig, { username, password }: Sentinel): Redis {
    const { Redis } = loadIoredis();
    const client = new Redis({
      host,
      port,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(tls !== undefined && { tls: tlsOptions(tls) }),
      protocol: 2,
      disableClientInfo: true,
      enableReadyCheck: false,
      connectTimeout: timeout * 2,
      keepAlive: 5_000,
      // The subscription waits for the first connection; ioredis repeats it after each further one.
      maxRetriesPerRequest: null,
      retryStrategy: () => jitter(RETRY_MS),
    });
    // Connections to Redis report a sentinel that cannot be reached.
    client.on("error", () => {});
    client.on("message", (_channel, text) => this.#onMessage(text));
    client.subscribe(SWITCH).catch(() => {});
    return client;
  }

  /** A message is `NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT`. */
  #onMessage(text: string): void {
    const [name, , , host, port] = text.split(" ", 5);
    if (name === this.#name && host !== undefined) this.#events.emit("switch", `${host} ${port}`);
  }
}
