import { setTimeout as delay } from "node:timers/promises";
import { Signal } from "../base/signal.ts";
import { type AnswerIndex, type RecordName, StoreUnavailable } from "../shared/store.ts";
import type { RedisCommands } from "./commands.ts";
import { answerNameKey, attendedKey, type KeyLayout, type RecordKeys, recordKeys } from "./key.ts";
import { RedisFault } from "./redis-fault.ts";
import { answerIdReply, countedReply } from "./schemas.ts";
import { CLAIM, HOLD } from "./scripts.ts";

/** The names of answers in Redis: each name is a key with the id of its answer, and expires by itself. */
export class RedisAnswerIndex implements AnswerIndex {
  readonly #connection: RedisCommands;
  readonly #layout: KeyLayout;
  readonly #timeoutMs: number;
  readonly #ready = new Signal();

  /** `timeoutMs`: how long Redis may be without a connection before it counts as away. */
  constructor(connection: RedisCommands, layout: KeyLayout, timeoutMs: number) {
    this.#connection = connection;
    this.#layout = layout;
    this.#timeoutMs = timeoutMs;
    connection.onReady(() => this.#ready.fire());
  }

  claim(
    name: string,
    { id, replaced = "" }: { readonly id: string; readonly replaced: string | undefined },
    keepMs: number,
  ): Promise<string> {
    const key = this.#nameKey(name);
    return this.#available(key, () => this.#connection.run(CLAIM, [key], [id, replaced, keepMs]));
  }

  async find(name: string): Promise<string | undefined> {
    const key = this.#nameKey(name);
    const id = await this.#available(key, () => this.#connection.ask(answerIdReply, "GET", [key]));
    return id === "" ? undefined : id;
  }

  async has(answer: RecordName): Promise<boolean> {
    return (await this.#count("EXISTS", this.#keysOf(answer).meta)) > 0;
  }

  async hold(name: string, id: string, keepMs: number): Promise<void> {
    const key = this.#nameKey(name);
    await this.#available(key, () => this.#connection.run(HOLD, [key], [id, String(keepMs)]));
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
    await this.#available(key, () => this.#connection.command("SET", [key, "", "PX", keepMs]));
  }

  async isAttended(answer: RecordName): Promise<boolean> {
    return (await this.#count("EXISTS", attendedKey(this.#keysOf(answer)))) > 0;
  }

  #count(command: string, ...keys: readonly [string, ...string[]]): Promise<number> {
    return this.#available(keys[0], () => this.#connection.ask(countedReply, command, keys));
  }

  #nameKey(name: string): string {
    return answerNameKey(this.#layout.prefix, name);
  }

  #keysOf({ route, key, definition }: RecordName): RecordKeys {
    return recordKeys(this.#layout, route, key, definition);
  }

  async #available<T>(key: string, ask: () => Promise<T>): Promise<T> {
    await this.#connected(key);
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof RedisFault)) throw error;
      throw new StoreUnavailable("redis is away", { cause: error });
    }
  }

  /** Waits for a connection that is being made, at the start or after a failover, but not for a Redis that is away. */
  async #connected(key: string): Promise<void> {
    const awayMs = this.#connection.awayMs(key);
    const leftMs = this.#timeoutMs - awayMs;
    if (awayMs === 0 || leftMs <= 0) return;
    const late = new AbortController();
    const timer = delay(leftMs, undefined, { signal: late.signal }).catch(() => {});
    await Promise.race([this.#ready.next(), timer]);
    late.abort();
  }
}
