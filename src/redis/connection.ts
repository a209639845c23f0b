import { EventEmitter, once } from "node:events";
import type { Redis, RedisOptions } from "ioredis";
import { guarded } from "../base/guard.ts";
import { jitter } from "../base/jitter.ts";
import type { RedisNode } from "../config/redis-schema.ts";
import { RedisCommands, type ServerConnection } from "./commands.ts";
import type { RedisFaults } from "./faults.ts";
import { loadIoredis } from "./load-ioredis.ts";
import { startPatientTimer } from "./patient-timer.ts";
import { RedisFault } from "./redis-fault.ts";
import type { RedisArgument, RedisReply } from "./reply.ts";
import type { Target } from "./target.ts";

/** The settings of a connection. */
export interface ConnectionOptions {
  readonly target: Target;
  /** The name that `CLIENT LIST` shows. */
  readonly name: string;
  readonly timeoutMs: number;
}

const FIRST_RETRY_MS = 50;
const MOST_RETRY_MS = 2_000;
/** The longest wait before the first attempt after a connection was lost. */
const MOST_RETURN_MS = 500;

/**
 * A shorter connection counts as a failed attempt: a replica accepts connections, but the first refused write ends
 * them.
 */
const STEADY_MS = 2_000;

/**
 * One connection to Redis, which is restored whenever it is lost.
 *
 * Commands do not queue: without a connection a command fails at once, and if a reply takes longer than `timeoutMs`,
 * the connection is dropped. This bounds the number of waiting commands by the number of their callers, and
 * distinguishes a Redis that hangs from an idle one.
 */
export class RedisConnection extends RedisCommands implements ServerConnection {
  lastFault = "";
  readonly #redis: Redis;
  readonly #options: ConnectionOptions;
  readonly #timeoutMs: number;
  readonly #events = new EventEmitter<{
    ready: [];
    away: [];
    refused: [fault: string];
    moved: [message: string];
  }>();
  #isReady = false;
  #readySince = 0;
  #awaySince = performance.now();
  /** Attempts to connect since the last steady connection. */
  #attempts = 0;
  #isClosed = false;
  /** The present connection was given up, and has not closed yet. */
  #isDropped = false;
  #handshake: NodeJS.Timeout | undefined;
  #restart: NodeJS.Timeout | undefined;

  constructor(options: ConnectionOptions, faults: RedisFaults) {
    super(faults);
    const { target, name, timeoutMs } = options;
    this.#options = options;
    this.#timeoutMs = timeoutMs;
    const all = {
      ...optionsFor(name, timeoutMs),
      ...target.options,
      retryStrategy: (failures: number) => this.#nextRetryMs(failures),
      reconnectOnError: (error: Error) => this.#isElsewhere(error),
    };
    const { Redis } = loadIoredis();
    this.#redis = target.url === undefined ? new Redis(all) : new Redis(target.url, all);
    this.#redis.on("error", (error: Error) => {
      this.lastFault = error.message;
      this.#events.emit("refused", error.message);
    });
    this.#redis.on("connect", () => this.#awaitHandshake());
    this.#redis.on("ready", () => this.#becomeReady());
    this.#redis.on("close", () => {
      this.#isDropped = false;
      this.#becomeAway();
    });
    this.#redis.on("end", () => this.#startAgain());
    target.watch?.onSwitch((peer) => {
      if (this.peer !== peer) this.drop("sentinel named another master");
    });
    // Each command that waits for the connection listens.
    this.#events.setMaxListeners(0);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get peer(): string {
    const { remoteAddress, remotePort } = this.#redis.stream ?? {};
    return this.#isReady && remoteAddress !== undefined ? `${remoteAddress} ${remotePort}` : "";
  }

  awayMs(): number {
    return this.#isReady ? 0 : performance.now() - this.#awaySince;
  }

  onReady(listener: () => void): void {
    this.#events.on("ready", guarded(this.faults.onFault, listener));
  }

  onAway(listener: () => void): void {
    this.#events.on("away", guarded(this.faults.onFault, listener));
  }

  onRefused(listener: (fault: string) => void): void {
    this.#events.on("refused", guarded(this.faults.onFault, listener));
  }

  /** Calls back with each MOVED of a cluster's node. */
  onMoved(listener: (message: string) => void): void {
    this.#events.on("moved", guarded(this.faults.onFault, listener));
  }

  dedicate(): RedisConnection {
    return new RedisConnection({ ...this.#options, name: `${this.#options.name}-reader` }, this.faults);
  }

  async unblock(connection: ServerConnection, id: number): Promise<void> {
    // The id has another meaning at another server, to which one of two connections may lead after a failover.
    if (this.peer === connection.peer) await this.send("", "CLIENT", ["UNBLOCK", id]);
  }

  /** Resolves when commands can be sent, or after `ms`. */
  async readyWithin(ms: number): Promise<void> {
    if (this.#isReady || ms <= 0) return;
    const late = AbortSignal.timeout(Math.ceil(ms));
    await once(this.#events, "ready", { signal: late }).catch(() => {});
  }

  /** Connects to this node from the next attempt on, and gives up the present connection. */
  moveTo({ host, port }: RedisNode): void {
    Object.assign(this.#redis.options, { host, port });
    this.drop("the slot has moved");
  }

  /** Sends a command whose key is being moved to this node of a cluster. */
  async sendAsking(name: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    const [, reply] = await Promise.all([this.send("", "ASKING", []), this.send("", name, args)]);
    return reply;
  }

  /** Sends a command to the one server; the key is not needed. */
  async send(_key: string, name: string, args: readonly RedisArgument[], waitMs = 0): Promise<RedisReply> {
    const sent = this.#redis.callBuffer(name, [...args]) as Promise<RedisReply>;
    try {
      const reply = await this.#replyWithin(sent, this.#timeoutMs + waitMs);
      this.lastFault = "";
      return reply;
    } catch (error) {
      throw this.#faultOf(error);
    }
  }

  /** Drops the connection and makes a new one. All commands under way fail. */
  drop(why: string): void {
    if (this.#isClosed) return;
    this.lastFault = why;
    // Only the first call disconnects: each command without a reply calls this, and ioredis adds a listener to the
    // socket at each `disconnect`.
    if (this.#isDropped) return;
    this.#isDropped = true;
    this.#redis.disconnect(true);
    this.#becomeAway();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#handshake);
    clearTimeout(this.#restart);
    this.#redis.disconnect();
  }

  protected noteFault(fault: string): void {
    this.lastFault = fault;
  }

  /** ioredis makes no further attempt after a disconnect while it asks the sentinels. */
  #startAgain(): void {
    if (this.#isClosed) return;
    const start = guarded(this.faults.onFault, () => void this.#redis.connect().catch(() => {}));
    this.#restart = setTimeout(start, this.#nextRetryMs(1));
  }

  /** ioredis bounds the time to connect, but not the wait for the first reply: a frozen Redis accepts connections. */
  #awaitHandshake(): void {
    this.#isDropped = false;
    clearTimeout(this.#handshake);
    this.#handshake = setTimeout(() => this.drop("no reply to the first command"), this.#timeoutMs * 2);
  }

  #becomeReady(): void {
    clearTimeout(this.#handshake);
    if (this.#isClosed) return;
    this.#isReady = true;
    this.#readySince = performance.now();
    this.#events.emit("ready");
  }

  #becomeAway(): void {
    clearTimeout(this.#handshake);
    if (!this.#isReady) return;
    this.#isReady = false;
    this.#awaySince = performance.now();
    if (this.#awaySince - this.#readySince > STEADY_MS) this.#attempts = 0;
    this.#events.emit("away");
  }

  #nextRetryMs(failures: number): number {
    this.#attempts += 1;
    const most = failures > 1 ? MOST_RETRY_MS : MOST_RETURN_MS;
    return jitter(Math.min(most, FIRST_RETRY_MS * 2 ** Math.min(this.#attempts, 10)));
  }

  /**
   * Whether to reconnect: after a failover the address points to the new primary, while this connection still leads
   * to a server that is now a replica.
   */
  #isElsewhere({ message }: Error): boolean {
    const isReplica = message.startsWith("READONLY");
    if (isReplica) this.lastFault = refusalOf(message);
    return isReplica;
  }

  #faultOf(error: unknown): RedisFault {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    if (name === "ReplyError") this.lastFault = refusalOf(message);
    if (message.startsWith("MOVED ")) this.#events.emit("moved", message);
    return new RedisFault(message);
  }

  async #replyWithin<T>(reply: Promise<T>, ms: number): Promise<T> {
    let stop = (): void => {};
    const late = new Promise<never>((_, reject) => {
      stop = startPatientTimer(ms, () => {
        const why = `no reply within ${ms} ms`;
        reject(new Error(why));
        this.drop(why);
      });
    });
    return Promise.race([reply, late]).finally(stop);
  }
}

/** Returns the error code alone, because the rest may contain arguments. */
function refusalOf(message: string): string {
  const [code = ""] = message.split(" ", 1);
  const hint = code === "MOVED" ? " (this server is a node of a cluster: use redis.cluster)" : "";
  return `a command was refused: ${code}${hint}`;
}

function optionsFor(name: string, timeoutMs: number): Omit<RedisOptions, "replyMapping"> {
  return {
    connectionName: name,
    // Every Redis and Valkey, and every proxy for them, speaks this version.
    protocol: 2,
    disableClientInfo: true,
    connectTimeout: timeoutMs * 2,
    // A Redis that hangs does not close its end either.
    disconnectTimeout: 50,
    keepAlive: 5_000,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // A Redis that is loading its data counts as away, and is retried in the same way.
    maxLoadingRetryTime: MOST_RETRY_MS,
  };
}
