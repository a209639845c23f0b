import { EventEmitter } from "node:events";
import { Redis, type RedisOptions } from "ioredis";
import { guarded } from "../base/guard.ts";
import { jitter } from "../base/jitter.ts";
import type { RedisFaults } from "./faults.ts";
import { startPatientTimer } from "./patient-timer.ts";
import type { Readable, RedisArgument, RedisReply, ReplySchema } from "./reply.ts";
import type { Script } from "./scripts.ts";

/** Redis refused a command, or gave no answer; the message holds no arguments, which may be secret. */
export class RedisFault extends Error {
  override readonly name: string = "RedisFault";
}

/** Redis gave an answer that no schema takes. */
export class InvalidReply extends RedisFault {
  override readonly name = "InvalidReply";
}

const FIRST_RETRY_MS = 50;
const MOST_RETRY_MS = 2_000;
/** The longest wait after a connection that was one. */
const MOST_RETURN_MS = 500;

/** A connection that ends sooner has failed: a replica takes one, and each write that is refused ends it. */
const STEADY_MS = 2_000;

/**
 * One connection to Redis, made again whenever it is lost.
 *
 * Nothing waits for it: a command fails at once while there is no connection, and the connection is given up when
 * an answer takes longer than `timeoutMs`. So what waits is bounded by what callers have under way, and a Redis
 * that hangs is known from one that is idle.
 */
export class RedisConnection {
  /** What went wrong since the last command that went well, in words without secrets; empty for nothing. */
  lastFault = "";
  readonly faults: RedisFaults;
  readonly #redis: Redis;
  readonly #timeoutMs: number;
  readonly #events = new EventEmitter<{ ready: []; away: []; refused: [fault: string] }>();
  #isReady = false;
  #readySince = 0;
  #awaySince = performance.now();
  /** Attempts to connect since the last connection that was steady. */
  #attempts = 0;
  #isClosed = false;
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
    this.#redis.on("close", () => this.#becomeAway());
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** How long there has been no connection; 0 while there is one. */
  get awayMs(): number {
    return this.#isReady ? 0 : performance.now() - this.#awaySince;
  }

  /** Each time commands can be sent again. */
  onReady(listener: () => void): void {
    this.#events.on("ready", guarded(this.faults.onFault, listener));
  }

  /** Each time the connection is lost. */
  onAway(listener: () => void): void {
    this.#events.on("away", guarded(this.faults.onFault, listener));
  }

  /** Each time an attempt to connect fails, or the connection does. */
  onRefused(listener: (fault: string) => void): void {
    this.#events.on("refused", guarded(this.faults.onFault, listener));
  }

  /** Sends a command whose answer nothing depends on; `waitMs` is what Redis itself may take for one that blocks. */
  async command(name: string, args: readonly RedisArgument[], waitMs = 0): Promise<RedisReply> {
    const answer = this.#redis.callBuffer(name, [...args]) as Promise<RedisReply>;
    try {
      const reply = await this.#answerWithin(answer, this.#timeoutMs + waitMs);
      this.lastFault = "";
      return reply;
    } catch (error) {
      throw this.#faultOf(error);
    }
  }

  /** Sends a command and reads its answer; one that does not fit is counted, and as good as none. */
  async ask<T extends Readable>(
    answer: ReplySchema<T>,
    name: string,
    args: readonly RedisArgument[],
    waitMs = 0,
  ): Promise<T> {
    return this.#read(answer, await this.command(name, args, waitMs));
  }

  /** Runs a script, which Redis may have forgotten or never known. */
  async run<T extends Readable>(
    { sha, text, answer }: Script<T>,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<T> {
    try {
      return await this.ask(answer, "EVALSHA", [sha, keys.length, ...keys, ...args]);
    } catch (error) {
      if (!(error instanceof RedisFault) || !error.message.startsWith("NOSCRIPT")) throw error;
      return this.ask(answer, "EVAL", [text, keys.length, ...keys, ...args]);
    }
  }

  /** Gives the connection up; another one is made. Everything under way fails. */
  drop(why: string): void {
    if (this.#isClosed) return;
    this.lastFault = why;
    this.#redis.disconnect(true);
    this.#becomeAway();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#handshake);
    this.#redis.disconnect();
  }

  /** ioredis bounds connecting, but not the wait for the first answer: a frozen Redis accepts connections. */
  #awaitHandshake(): void {
    clearTimeout(this.#handshake);
    this.#handshake = setTimeout(() => this.drop("no answer to the first command"), this.#timeoutMs * 2);
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

  /** After a failover the address leads to the new primary, the old connection to what is now a replica. */
  #isElsewhere({ message }: Error): boolean {
    const isReplica = message.startsWith("READONLY");
    if (isReplica) this.lastFault = refusalOf(message);
    return isReplica;
  }

  #read<T extends Readable>(answer: ReplySchema<T>, reply: RedisReply): T {
    const read = answer.read(reply);
    if (read !== undefined) return read;
    this.faults.countInvalid(answer.kind);
    this.lastFault = `an answer was invalid: ${answer.kind}`;
    throw new InvalidReply(this.lastFault);
  }

  #faultOf(error: unknown): RedisFault {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    if (name === "ReplyError") this.lastFault = refusalOf(message);
    return new RedisFault(message);
  }

  async #answerWithin<T>(answer: Promise<T>, ms: number): Promise<T> {
    let stop = (): void => {};
    const late = new Promise<never>((_, reject) => {
      stop = startPatientTimer(ms, () => {
        const why = `no answer within ${ms} ms`;
        reject(new Error(why));
        this.drop(why);
      });
    });
    return Promise.race([answer, late]).finally(stop);
  }
}

/** Its code alone, because what follows may show arguments. */
const refusalOf = (message: string): string => `a command was refused: ${message.split(" ", 1).join()}`;

function optionsFor(name: string, timeoutMs: number): Omit<RedisOptions, "replyMapping"> {
  return {
    connectionName: name,
    // What every Redis, Valkey and proxy before them speaks.
    protocol: 2,
    disableClientInfo: true,
    connectTimeout: timeoutMs * 2,
    // A Redis that hangs does not close its end either.
    disconnectTimeout: 50,
    keepAlive: 5_000,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // A Redis that is loading its data is away, and is asked again as one that is.
    maxLoadingRetryTime: MOST_RETRY_MS,
  };
}
