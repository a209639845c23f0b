import type { RedisFaults } from "./faults.ts";
import { InvalidReply, RedisFault } from "./redis-fault.ts";
import type { Readable, RedisArgument, RedisReply, ReplySchema } from "./reply.ts";
import type { Script } from "./scripts.ts";

/** A connection to one server. */
export interface ServerConnection extends RedisCommands {
  /** The address of the server, as the socket has it; empty without a connection. */
  readonly peer: string;
}

/** Sends commands to Redis: to one server, or to the node of a cluster that has the key. */
export abstract class RedisCommands {
  readonly faults: RedisFaults;

  constructor(faults: RedisFaults) {
    this.faults = faults;
  }

  /** Whether all servers can be reached. */
  abstract readonly isReady: boolean;
  /** The last fault since the last successful command, without secrets; empty for none. */
  abstract readonly lastFault: string;
  /** Milliseconds without a connection to the server that has a key; 0 while there is one. */
  abstract awayMs(key: string): number;
  /** Calls back each time all servers can be reached again. */
  abstract onReady(listener: () => void): void;
  /** Calls back each time a server is lost. */
  abstract onAway(listener: () => void): void;
  /** Calls back each time an attempt to connect, or a connection, fails. */
  abstract onRefused(listener: (fault: string) => void): void;
  /** Opens a connection of its own to the server that has a key, for commands that block; the caller closes it. */
  abstract dedicate(key: string): ServerConnection;
  /** Ends the command that blocks on another connection, whose id at its server is `id`. */
  abstract unblock(connection: ServerConnection, id: number): Promise<unknown>;
  abstract close(): void;

  /**
   * Sends a command to the server that has `key` and returns the raw reply. `waitMs` is how long Redis itself may take
   * for a command that blocks.
   */
  abstract send(
    key: string,
    name: string,
    args: readonly RedisArgument[],
    waitMs?: number,
  ): Promise<RedisReply>;

  protected abstract noteFault(fault: string): void;

  /** Sends a command whose first argument is its key, and returns the raw reply. */
  command(name: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.send(String(args[0]), name, args);
  }

  /**
   * Sends a command whose first argument is its key, or any command to one server, and reads its reply. An invalid
   * reply is counted, and rejects with `InvalidReply`.
   */
  async ask<T extends Readable>(
    schema: ReplySchema<T>,
    name: string,
    args: readonly RedisArgument[],
    waitMs = 0,
  ): Promise<T> {
    return this.#read(schema, await this.send(String(args[0]), name, args, waitMs));
  }

  /** Runs a script by its hash, or by its text if Redis does not know it (any longer). All keys have one slot. */
  async run<T extends Readable>(
    { sha, text, schema }: Script<T>,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<T> {
    const [key = ""] = keys;
    const rest = [keys.length, ...keys, ...args];
    const reply = await this.send(key, "EVALSHA", [sha, ...rest]).catch((error: unknown) => {
      if (!(error instanceof RedisFault) || !error.message.startsWith("NOSCRIPT")) throw error;
      return this.send(key, "EVAL", [text, ...rest]);
    });
    return this.#read(schema, reply);
  }

  #read<T extends Readable>(schema: ReplySchema<T>, reply: RedisReply): T {
    const read = schema.read(reply);
    if (read !== undefined) return read;
    this.faults.countInvalid(schema.kind);
    const fault = `invalid reply: ${schema.kind}`;
    this.noteFault(fault);
    throw new InvalidReply(fault);
  }
}
