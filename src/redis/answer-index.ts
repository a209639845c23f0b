import { setTimeout as delay } from "node:timers/promises";
import { Signal } from "../base/signal.ts";
import { type AnswerIndex, type RecordName, StoreUnavailable } from "../shared/store.ts";
import { type RedisConnection, RedisFault } from "./connection.ts";
import { answerNameKey, attendedKey, type RecordKeys, recordKeys } from "./key.ts";
import { answerIdReply, countedReply } from "./schemas.ts";
import { CLAIM, HOLD } from "./scripts.ts";

/** The names of answers in Redis: each name is a key with the id of its answer, and expires by itself. */
export class RedisAnswerIndex implements AnswerIndex {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #timeoutMs: number;
  readonly #ready = new Signal();

  /** `timeoutMs`: how long Redis may be without a connection before it counts as away. */
  constructor(connection: RedisConnection, prefix: string, timeoutMs: number) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#timeoutMs = timeoutMs;
    connection.onReady(() => this.#ready.fire());
  }

  claim(
    name: string,
    { id, replaced = "" }: { readonly id: string; readonly replaced: string | undefined },
    keepMs: number,
  ): Promise<string> {
    return this.#available(() => this.#connection.run(CLAIM, [this.#nameKey(name)], [id, replaced, keepMs]));
  }

  async find(name: string): Promise<string | undefined> {
    const key = this.#nameKey(name);
    const id = await this.#available(() => this.#connection.ask(answerIdReply, "GET", [key]));
    return id === "" ? undefined : id;
  }

  async has(answer: RecordName): Promise<boolean> {
    return (await this.#count("EXISTS", this.#keysOf(answer).meta)) > 0;
  }

  async hold(name: string, id: string, keepMs: number): Promise<void> {
    const key = this.#nameKey(name);
    await this.#available(() => this.#connection.run(HOLD, [key], [id, String(keepMs)]));
  }

  free(name: string, id: string): Promise<void> {
    return this.hold(name, id, 0);
  }

  async forget(answer: RecordName): Promise<void> {
    const { lease, meta, events } = this.#keysOf(answer);
    await this.#count("DEL", lease, meta, events);
  }

  async attend(answer: RecordName, keepMs: number): Promise<void> {
    const key = attendedKey(this.#keysOf(answer));
    await this.#available(() => this.#connection.command("SET", [key, "", "PX", keepMs]));
  }

  async isAttended(answer: RecordName): Promise<boolean> {
    return (await this.#count("EXISTS", attendedKey(this.#keysOf(answer)))) > 0;
  }

  #count(command: string, ...keys: readonly string[]): Promise<number> {
    return this.#available(() => this.#connection.ask(countedReply, command, keys));
  }

  #nameKey(name: string): string {
    return answerNameKey(this.#prefix, name);
  }

  #keysOf({ route, key, definition }: RecordName): RecordKeys {
    return recordKeys(this.#prefix, route, key, definition);
  }

  async #available<T>(ask: () => Promise<T>): Promise<T> {
    await this.#connected();
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof RedisFault)) throw error;
      throw new StoreUnavailable("redis is away", { cause: error });
    }
  }

  /** Waits for a connection that is being made, at the start or after a failover, but not for a Redis that is away. */
  async #connected(): Promise<void> {
    const leftMs = this.#timeoutMs - this.#connection.awayMs;
    if (this.#connection.isReady || leftMs <= 0) return;
    const late = new AbortController();
    const timer = delay(leftMs, undefined, { signal: late.signal }).catch(() => {});
    await Promise.race([this.#ready.next(), timer]);
    late.abort();
  }
}
