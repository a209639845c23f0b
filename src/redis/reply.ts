import type { InvalidKind } from "./faults.ts";

/** What Redis answers: texts as bytes, because events are. */
export type RedisReply = Buffer | number | null | readonly RedisReply[];

export type RedisArgument = string | number | Buffer;

/** What a schema makes of an answer; undefined is kept for what does not fit. */
export type Readable = object | string | number | boolean | null;

/**
 * What an answer must look like. A script that another version left under the same hash, a proxy, or a key that
 * something else has written can make it anything.
 */
export interface ReplySchema<T extends Readable> {
  /** Under which it is counted when it does not fit. */
  readonly kind: InvalidKind;
  /** Undefined when the answer does not fit. */
  read(reply: RedisReply): T | undefined;
}
