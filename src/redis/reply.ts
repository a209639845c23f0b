import type { InvalidKind } from "./faults.ts";

/** A reply of Redis; texts are bytes, because events are bytes. */
export type RedisReply = Buffer | number | null | readonly RedisReply[];

export type RedisArgument = string | number | Buffer;

/** The result of reading a reply; undefined stands for an invalid reply. */
export type Readable = object | string | number | boolean | null;

/**
 * How to read a reply. It can have any form: another version's script with the same hash, a proxy, or other software
 * that writes the key can produce it.
 */
export interface ReplySchema<T extends Readable> {
  /** The kind under which an invalid reply is counted. */
  readonly kind: InvalidKind;
  /** Returns undefined for an invalid reply. */
  read(reply: RedisReply): T | undefined;
}
