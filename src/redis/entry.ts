import { isUsableId } from "../shared/event-id.ts";
import type { StoredEvent } from "../shared/store.ts";
import { isEventBlock } from "../sse/event-fields.ts";
import type { RedisArgument, RedisReply } from "./reply.ts";

/**
 * The position of an event in a record in Redis; `token-seq` is the id of its stream entry.
 *
 * The token is the fencing token of the leader that wrote the event; seq counts the events of the record. Redis
 * accepts only growing ids, so it refuses an older leader by itself, and two events at the same place in two
 * histories have different positions.
 */
export interface Position {
  readonly token: number;
  readonly seq: number;
}

/** The position before the first event. */
export const ORIGIN: Position = { token: 0, seq: 0 };

export const formatPosition = ({ token, seq }: Position): string => `${token}-${seq}`;

/**
 * Returns undefined for a text that is not a position, and beyond 2^53, which Redis allows but a number cannot
 * represent.
 */
export function parsePosition(text: string | undefined): Position | undefined {
  const [, left, right] = POSITION.exec(text ?? "") ?? [];
  const [token, seq] = [Number(left), Number(right)];
  return Number.isSafeInteger(token) && Number.isSafeInteger(seq) ? { token, seq } : undefined;
}

const POSITION = /^(\d{1,16})-(\d{1,16})$/;

export const isSamePosition = (a: Position, b: Position): boolean => a.token === b.token && a.seq === b.seq;

/** Negative if `a` comes first in Redis's order of entries. */
export const comparePositions = (a: Position, b: Position): number => a.token - b.token || a.seq - b.seq;

/** Returns the least position after another, for ranges that include their start. */
export const positionBehind = ({ token, seq }: Position): Position => ({ token, seq: seq + 1 });

/** An entry as read; `event` is undefined if this version does not know its form. */
export interface Entry {
  readonly position: Position;
  readonly event: StoredEvent | undefined;
}

/** Returns the arguments of `APPEND` for one event. */
export function encodeEntry({ id, backendId, at, block }: StoredEvent, position: Position): RedisArgument[] {
  return [
    formatPosition(position),
    Buffer.from(id, "latin1"),
    Buffer.from(backendId, "latin1"),
    String(at),
    block,
  ];
}

/** The decoded part of a reply; `isWhole` is false if decoding stopped at an entry without a position. */
export interface Decoded {
  readonly entries: Entry[];
  readonly isWhole: boolean;
}

/** Whether bytes of a record may be given to clients. */
export type BlockTest = (block: Buffer) => boolean;

/** Accepts the blocks of a named answer: any bytes of its body. */
export const isAnswerBlock: BlockTest = (block) => block.length > 0;

/** Decodes a reply to XRANGE, or one stream's part of a reply to XREAD; `isBlock` accepts the bytes of an event. */
export function decodeEntries(reply: RedisReply | undefined, isBlock: BlockTest = isEventBlock): Decoded {
  const entries: Entry[] = [];
  if (!Array.isArray(reply)) return { entries, isWhole: false };
  for (const entry of reply as readonly RedisReply[]) {
    const [id, fields] = Array.isArray(entry) ? (entry as readonly RedisReply[]) : [];
    const position = Buffer.isBuffer(id) ? parsePosition(id.toString("latin1")) : undefined;
    if (position === undefined) return { entries, isWhole: false };
    entries.push({ position, event: decodeEvent(position.seq, fields, isBlock) });
  }
  return { entries, isWhole: true };
}

/**
 * Decodes an event of any version that has the fields of this one. Unknown fields are ignored, because instances of
 * two versions run side by side during an update.
 *
 * Checked by hand, because it runs for each event. Clients get the block as it is, so in a shared stream it must be
 * exactly one event: an incomplete one would swallow the next event, and two would be counted as one. Ids are sent in
 * streams and in response heads.
 */
function decodeEvent(
  seq: number,
  fields: RedisReply | undefined,
  isBlock: BlockTest,
): StoredEvent | undefined {
  // Events are counted from 1; no version writes seq 0.
  if (seq === 0 || !Array.isArray(fields)) return undefined;
  const byName = new Map<string, RedisReply>();
  for (let at = 0; at + 1 < fields.length; at += 2) byName.set(String(fields[at]), fields[at + 1] ?? null);
  const [id, backendId, at, block] = ["i", "n", "t", "b"].map((name) => byName.get(name));
  const isWhole = Buffer.isBuffer(id) && Buffer.isBuffer(backendId) && Buffer.isBuffer(block);
  if (!isWhole || !/^\d{1,15}$/.test(String(at)) || !isBlock(block)) return undefined;
  const own = id.toString("latin1");
  const last = backendId.equals(id) ? own : backendId.toString("latin1");
  if (!isUsableId(own) || (last !== "" && !isUsableId(last))) return undefined;
  return { seq, id: own, backendId: last, at: Number(String(at)), block: ownCopy(block) };
}

/**
 * Copies bytes out of the socket's read buffer, because one retained event would otherwise retain the whole buffer.
 */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
