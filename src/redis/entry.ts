import { isUsableId } from "../shared/event-id.ts";
import type { StoredEvent } from "../shared/store.ts";
import { isEventBlock } from "../sse/event-fields.ts";
import type { RedisArgument, RedisReply } from "./reply.ts";

/**
 * Where an event stands in a record in Redis; its spelling `token-seq` is the id of its stream entry.
 *
 * The token is the fencing token of the leader that wrote it, the seq counts the events of the record. Redis takes
 * growing ids only, so it refuses an older leader by itself, and two events that take the same place in two
 * histories are told apart.
 */
export interface Position {
  readonly token: number;
  readonly seq: number;
}

/** Before the first event. */
export const ORIGIN: Position = { token: 0, seq: 0 };

export const formatPosition = ({ token, seq }: Position): string => `${token}-${seq}`;

/** Undefined for what is no position; also beyond 2^53, which Redis allows and a number does not hold. */
export function parsePosition(text: string | undefined): Position | undefined {
  const [, left, right] = POSITION.exec(text ?? "") ?? [];
  const [token, seq] = [Number(left), Number(right)];
  return Number.isSafeInteger(token) && Number.isSafeInteger(seq) ? { token, seq } : undefined;
}

const POSITION = /^(\d{1,16})-(\d{1,16})$/;

export const isSamePosition = (a: Position, b: Position): boolean => a.token === b.token && a.seq === b.seq;

/** Negative when `a` comes first, as Redis orders its entries. */
export const comparePositions = (a: Position, b: Position): number => a.token - b.token || a.seq - b.seq;

/** The least position behind another, for ranges that include their start. */
export const positionBehind = ({ token, seq }: Position): Position => ({ token, seq: seq + 1 });

/** An entry as it was read; without `event` it is of a form that this version does not know. */
export interface Entry {
  readonly position: Position;
  readonly event: StoredEvent | undefined;
}

/** The arguments that `APPEND` takes for one event. */
export function encodeEntry({ id, backendId, at, block }: StoredEvent, position: Position): RedisArgument[] {
  return [
    formatPosition(position),
    Buffer.from(id, "latin1"),
    Buffer.from(backendId, "latin1"),
    String(at),
    block,
  ];
}

/** What was read of an answer; `isWhole` is false when it ends in front of an entry without a position. */
export interface Decoded {
  readonly entries: Entry[];
  readonly isWhole: boolean;
}

/** Reads the answer of XRANGE, or one stream's part of that of XREAD. */
export function decodeEntries(reply: RedisReply | undefined): Decoded {
  const entries: Entry[] = [];
  if (!Array.isArray(reply)) return { entries, isWhole: false };
  for (const entry of reply as readonly RedisReply[]) {
    const [id, fields] = Array.isArray(entry) ? (entry as readonly RedisReply[]) : [];
    const position = Buffer.isBuffer(id) ? parsePosition(id.toString("latin1")) : undefined;
    if (position === undefined) return { entries, isWhole: false };
    entries.push({ position, event: decodeEvent(position.seq, fields) });
  }
  return { entries, isWhole: true };
}

/**
 * An event of any version that has the fields of this one; fields that are not known are passed over, because
 * instances of two versions run side by side while one replaces the other.
 *
 * Written out by hand, as it runs for each event. The block goes to clients as it is, so it must be exactly one: an
 * open one would swallow the next event, and two would be counted as one. Ids go into streams and into heads.
 */
function decodeEvent(seq: number, fields: RedisReply | undefined): StoredEvent | undefined {
  // Events are counted from 1: no version writes one at 0.
  if (seq === 0 || !Array.isArray(fields)) return undefined;
  const byName = new Map<string, RedisReply>();
  for (let at = 0; at + 1 < fields.length; at += 2) byName.set(String(fields[at]), fields[at + 1] ?? null);
  const [id, backendId, at, block] = ["i", "n", "t", "b"].map((name) => byName.get(name));
  const isWhole = Buffer.isBuffer(id) && Buffer.isBuffer(backendId) && Buffer.isBuffer(block);
  if (!isWhole || !/^\d{1,15}$/.test(String(at)) || !isEventBlock(block)) return undefined;
  const own = id.toString("latin1");
  const last = backendId.equals(id) ? own : backendId.toString("latin1");
  if (!isUsableId(own) || (last !== "" && !isUsableId(last))) return undefined;
  return { seq, id: own, backendId: last, at: Number(String(at)), block: ownCopy(block) };
}

/** What was read is a part of what the socket gave, which one event that is kept would keep whole. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
