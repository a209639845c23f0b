import { createHash } from "node:crypto";
import { guarded } from "../base/guard.ts";
import type { Log } from "../observe/log.ts";
import type { RedisCommands } from "./commands.ts";
import { definitionsKey } from "./key.ts";
import { RedisFault } from "./redis-fault.ts";
import { definitionsReply } from "./schemas.ts";

/** How often an instance reports the definitions that it uses; after three times that, it counts as gone. */
const EVERY_MS = 10_000;
const STALE_MS = 3 * EVERY_MS;

/** How many definitions of one route are read; further ones are ignored. */
const MOST = 64;

/**
 * Reports when another instance defines a route differently, because the two then keep separate histories and each
 * ask the backend. This is right while a change is rolled out, and a mistake if it lasts.
 */
export class RedisDefinitions {
  readonly #connection: RedisCommands;
  readonly #prefix: string;
  readonly #log: Log;
  /** By route, the hashes of the definitions in use here, with the number of records that use them. */
  readonly #own = new Map<string, Map<string, number>>();
  /** The differences that have been logged. */
  readonly #told = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor(connection: RedisCommands, prefix: string, log: Log) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#log = log;
    this.#timer = setInterval(
      guarded(connection.faults.onFault, () => this.#tellAll()),
      EVERY_MS,
    );
    connection.onReady(() => this.#tellAll());
  }

  /** Registers a record of this definition; returns a function that removes it. */
  use(route: string, definition: string): () => void {
    const hash = createHash("sha256").update(definition).digest("base64url").slice(0, 22);
    const hashes = this.#own.get(route) ?? new Map<string, number>();
    this.#own.set(route, hashes);
    const before = hashes.get(hash) ?? 0;
    hashes.set(hash, before + 1);
    if (before === 0) void this.#tell(route, hash);
    return () => {
      const left = (hashes.get(hash) ?? 1) - 1;
      if (left > 0) return void hashes.set(hash, left);
      hashes.delete(hash);
      if (hashes.size === 0) this.#own.delete(route);
    };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tellAll(): void {
    for (const [route, hashes] of this.#own) for (const hash of hashes.keys()) void this.#tell(route, hash);
  }

  async #tell(route: string, hash: string): Promise<void> {
    const key = definitionsKey(this.#prefix, route);
    const now = Date.now();
    try {
      await this.#connection.command("ZADD", [key, now, hash]);
      await this.#connection.command("ZREMRANGEBYSCORE", [key, "-inf", now - STALE_MS]);
      await this.#connection.command("PEXPIRE", [key, STALE_MS]);
      const others = await this.#connection.ask(definitionsReply, "ZRANGE", [key, 0, MOST - 1]);
      for (const other of others) this.#compare(route, other);
    } catch (error) {
      // The store logs that Redis is away.
      if (!(error instanceof RedisFault)) this.#connection.faults.onFault(error);
    }
  }

  #compare(route: string, hash: string): void {
    const own = this.#own.get(route);
    if (own === undefined || own.has(hash) || this.#told.has(`${route} ${hash}`)) return;
    // A full set ends the logging, because further differences would be logged again every few seconds.
    if (this.#told.size >= MOST) return;
    this.#told.add(`${route} ${hash}`);
    const facts = { route, definitions: [...own.keys()], other: hash };
    this.#log.warn(
      facts,
      "another instance defines this route differently: the two do not share its streams",
    );
  }
}
