import { EventEmitter } from "node:events";
import { Redis, type RedisOptions } from "ioredis";
import { guarded } from "../base/guard.ts";
import { jitter } from "../base/jitter.ts";
import type { RedisFaults } from "./faults.ts";
import { startPatientTimer } from "./patient-timer.ts";
import type { Readable, RedisArgument, RedisReply, ReplySchema } from "./reply.ts";
import type { Script } from "./scripts.ts";

/** Redis refused a command, or did not reply. The message contains no arguments, which may be secret. */
export class RedisFault extends Error {
  override readonly name: string = "RedisFault";
}

/** Redis sent a reply that its schema does not accept. */
export class InvalidReply extends RedisFault {
  override readonly name = "InvalidReply";
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
export class RedisConnection {
  /** The last fault since the last successful command, without secrets; empty for none. */
  lastFault = "";
  readonly faults: RedisFaults;
  readonly #redis: Redis;
  readonly #timeoutMs: number;
  readonly #events = new EventEmitter<{ ready: []; away: []; refused: [fault: string] }>();
  #isReady = false;
  #readySince = 0;
  #awaySince = performance.now();
  /** Attempts to connect since the last steady connection. */
  #attempts = 0;
  #isClosed = false;
  /** The present connection was given up, and has not closed yet. */
  #isDropped = false;
  #handshake: NodeJS.Timeout | undefined;

  constructor(url: string, name: string, timeoutMs: number, faults: RedisFaults) {
    this.faults = faults;
    this.#timeoutMs = timeoutMs;
    this.#redis = new Redis(url, {
      ...optionsFor(name, timeoutMs),
      retryStrategy: (failures) => this.#nextRetryMs(failures),
      reconnectOnError: (error) => this.#isElsewhere(error),
    });
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
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Milliseconds without a connection; 0 while there is one. */
  get awayMs(): number {
    return this.#isReady ? 0 : performance.now() - this.#awaySince;
  }

  /** Calls back each time commands can be sent again. */
  onReady(listener: () => void): void {
    this.#events.on("ready", guarded(this.faults.onFault, listener));
  }

  /** Calls back each time the connection is lost. */
  onAway(listener: () => void): void {
    this.#events.on("away", guarded(this.faults.onFault, listener));
  }

  /** Calls back each time an attempt to connect, or the connection, fails. */
  onRefused(listener: (fault: string) => void): void {
    this.#events.on("refused", guarded(this.faults.onFault, listener));
  }

  /**
   * Sends a command and returns the raw reply. `waitMs` is how long Redis itself may take for a command that blocks.
   */
  async command(name: string, args: readonly RedisArgument[], waitMs = 0): Promise<RedisReply> {
    const sent = this.#redis.callBuffer(name, [...args]) as Promise<RedisReply>;
    try {
      const reply = await this.#replyWithin(sent, this.#timeoutMs + waitMs);
      this.lastFault = "";
      return reply;
    } catch (error) {
      throw this.#faultOf(error);
    }
  }

  /** Sends a command and reads its reply. An invalid reply is counted, and rejects with `InvalidReply`. */
  async ask<T extends Readable>(
    schema: ReplySchema<T>,
    name: string,
    args: readonly RedisArgument[],
    waitMs = 0,
  ): Promise<T> {
    return this.#read(schema, await this.command(name, args, waitMs));
  }

  /** Runs a script by its hash, or by its text if Redis does not know it (any longer). */
  async run<T extends Readable>(
    { sha, text, schema }: Script<T>,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<T> {
    try {
      return await this.ask(schema, "EVALSHA", [sha, keys.length, ...keys, ...args]);
    } catch (error) {
      if (!(error instanceof RedisFault) || !error.message.startsWith("NOSCRIPT")) throw error;
      return this.ask(schema, "EVAL", [text, keys.length, ...keys, ...args]);
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
    this.#redis.disconnect();
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

  #read<T extends Readable>(schema: ReplySchema<T>, reply: RedisReply): T {
    const read = schema.read(reply);
    if (read !== undefined) return read;
    this.faults.countInvalid(schema.kind);
    this.lastFault = `invalid reply: ${schema.kind}`;
    throw new InvalidReply(this.lastFault);
  }

  #faultOf(error: unknown): RedisFault {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    if (name === "ReplyError") this.lastFault = refusalOf(message);
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
const refusalOf = (message: string): string => `a command was refused: ${message.split(" ", 1).join()}`;

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
