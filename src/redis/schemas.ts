import * as z from "zod";
import { fieldValue, token } from "../config/scalars.ts";
import { type Issued, isBackendName } from "../limits/counter-store.ts";
import { type BlockTest, decodeEntries, type Entry, type Position, parsePosition } from "./entry.ts";
import type { RedisReply, ReplySchema } from "./reply.ts";

/**
 * The schemas of all replies of Redis. Replies for each event or request are checked by hand, because it is faster.
 */

/** The state of a record, and whether we hold its lease. */
export interface LeaseReply {
  readonly isGranted: boolean;
  /** The newest token that was ever granted; 0 for none. */
  readonly token: number;
  /** Identifies the record's history; empty before the first lease. */
  readonly epoch: string;
  /** The backend status as the leader wrote it; empty before the first. */
  readonly state: string;
  /** Milliseconds until the lease may be granted to another instance; negative if it is free. */
  readonly leftMs: number;
  /** The position of the newest event. */
  readonly top: Position;
}

/** The epoch is part of event ids, so it must not contain a line end. */
const EPOCH = /^[\x21-\x7e]{0,64}$/;

const INTEGER = /^\d{1,16}$/;

/** A status is a few hundred bytes; a field of a backend's refusal can make it some kilobytes. */
const MAX_STATE_BYTES = 256 * 1024;

export const leaseReply: ReplySchema<LeaseReply> = {
  kind: "lease",
  read(reply) {
    const [granted, token, epoch, state, left, top] = listOf(reply);
    const newest = integerOf(token);
    const leftMs = integerOf(left);
    const name = textOf(epoch, 64);
    const word = textOf(state, MAX_STATE_BYTES);
    const position = parsePosition(textOf(top, 64));
    if (granted !== 0 && granted !== 1) return undefined;
    if (newest === undefined || leftMs === undefined || position === undefined) return undefined;
    if (name === undefined || word === undefined || !EPOCH.test(name)) return undefined;
    // A granted lease has a token and an epoch.
    if (granted === 1 && (newest === 0 || name === "")) return undefined;
    return { isGranted: granted === 1, token: newest, epoch: name, state: word, leftMs, top: position };
  },
};

/** The result of the append script. */
export type AppendReply =
  | { readonly is: "ok" }
  | { readonly is: "fenced" }
  | { readonly is: "other"; readonly top: Position };

export const appendReply: ReplySchema<AppendReply> = {
  kind: "append",
  read(reply) {
    const [word, top] = listOf(reply);
    const is = textOf(word, 16);
    if (is === "ok" || is === "fenced") return { is };
    const position = is === "other" ? parsePosition(textOf(top, 64)) : undefined;
    return position === undefined ? undefined : { is: "other", top: position };
  },
};

/** The number of keys that a command has changed or found. */
export const countedReply: ReplySchema<number> = { kind: "answer", read: integerOf };

/** The id of an answer; empty if the name has none. */
export const answerIdReply: ReplySchema<string> = {
  kind: "answer",
  read(reply) {
    if (reply === null) return "";
    const id = textOf(reply, 64);
    return id !== undefined && /^[\w-]{22}$/.test(id) ? id : undefined;
  },
};

/** The number of keys that were deleted. */
export const releaseReply: ReplySchema<number> = { kind: "release", read: integerOf };

/** The entries of one stream, oldest first; `isBlock` accepts the bytes of an event. */
export const entriesReply = (isBlock: BlockTest): ReplySchema<readonly Entry[]> => ({
  kind: "entry",
  read(reply) {
    const { entries, isWhole } = decodeEntries(reply, isBlock);
    return isWhole ? entries : undefined;
  },
});

/** One stream's part of a reply to XREAD; its entries are not decoded yet. */
export interface StreamPart {
  readonly name: string;
  readonly entries: readonly RedisReply[];
}

/** An empty list if no entry came while the read was blocked. */
export const streamsReply: ReplySchema<readonly StreamPart[]> = {
  kind: "reader",
  read(reply) {
    if (reply === null) return [];
    if (!Array.isArray(reply) || reply.length === 0) return undefined;
    const parts: StreamPart[] = [];
    for (const part of reply as readonly RedisReply[]) {
      const [name, entries] = listOf(part);
      const text = textOf(name, 1024);
      if (text === undefined || !Array.isArray(entries) || entries.length === 0) return undefined;
      parts.push({ name: text, entries });
    }
    return parts;
  },
};

/**
 * A notice in its stream: its id and the record that it names; `record` is undefined if the notice has another form.
 */
export interface Notice {
  readonly id: string;
  readonly record: string | undefined;
}

/** Redis makes the id of a notice; it is kept as text, because its milliseconds may exceed a number. */
const NOTICE_ID = /^\d{1,20}-\d{1,20}$/;

export function readNotice(entry: RedisReply): Notice | undefined {
  const [id, fields] = listOf(entry);
  const text = textOf(id, 64);
  if (text === undefined || !NOTICE_ID.test(text)) return undefined;
  return { id: text, record: textOf(listOf(fields)[1], 1024) };
}

/** The id of the newest notice; `0-0` before the first. */
export const newestNoticeReply: ReplySchema<string> = {
  kind: "reader",
  read(reply) {
    if (!Array.isArray(reply)) return undefined;
    return reply.length === 0 ? "0-0" : readNotice(reply[0] as RedisReply)?.id;
  },
};

export const connectionIdReply: ReplySchema<number> = { kind: "reader", read: integerOf };

/** The names of the commands that the user may not run. */
export const forbiddenReply: ReplySchema<readonly string[]> = {
  kind: "rights",
  read(reply) {
    if (!Array.isArray(reply)) return undefined;
    const names = (reply as readonly RedisReply[]).map((name) => textOf(name, 32));
    return names.includes(undefined) ? undefined : (names as string[]);
  },
};

/** Hashes of the definitions in use; hashes of another form, from another version, are ignored. */
export const definitionsReply: ReplySchema<readonly string[]> = {
  kind: "definition",
  read(reply) {
    if (!Array.isArray(reply)) return undefined;
    const texts = (reply as readonly RedisReply[]).map((hash) => textOf(hash, 64));
    return texts.filter((text) => text !== undefined && /^[\w-]+$/.test(text)) as string[];
  },
};

/** A window: its count, and the milliseconds that are left. */
export interface CountReply {
  readonly count: number;
  readonly leftMs: number;
}

export const countReply: ReplySchema<CountReply> = {
  kind: "count",
  read(reply) {
    const [count, leftMs] = listOf(reply);
    if (!Number.isSafeInteger(count) || !Number.isSafeInteger(leftMs)) return undefined;
    return { count: count as number, leftMs: Math.max(0, leftMs as number) };
  },
};

/** Whether a signature was new. Any other reply is invalid, so the request is refused. */
export const signatureReply: ReplySchema<"new" | "seen"> = {
  kind: "signature",
  read(reply) {
    if (reply === null) return "seen";
    return textOf(reply, 8) === "OK" ? "new" : undefined;
  },
};

/** The backend of a session; null if the session is unknown. */
export const sessionReply: ReplySchema<string | null> = {
  kind: "session",
  read(reply) {
    if (reply === null) return null;
    const backend = textOf(reply, 22);
    return backend !== undefined && isBackendName(backend) ? backend : undefined;
  },
};

/** Accepts only a completed SET. */
export const storedReply: ReplySchema<true> = {
  kind: "session",
  read: (reply) => (textOf(reply, 8) === "OK" ? true : undefined),
};

/**
 * Null if the ticket was kept; otherwise the time at which the oldest unused ticket expires, in ms since the epoch.
 */
export const ticketKeptReply: ReplySchema<number | null> = {
  kind: "ticket",
  read: (reply) => (reply === null ? null : integerOf(reply)),
};

const issuedSchema = z.object({
  path: z.string(),
  expiresAt: z.number(),
  principal: z.object({
    app: fieldValue.optional(),
    key: z.string(),
    // The backend trusts these fields, so each must be exactly one field.
    fields: z.array(z.tuple([token, fieldValue])).max(64),
    expiresAt: z.number().optional(),
  }),
});

/** More than any issued ticket needs for a path and the fields of a principal. */
const MAX_TICKET_BYTES = 256 * 1024;

/** Null if there is no such ticket. */
export const ticketReply: ReplySchema<Issued | null> = {
  kind: "ticket",
  read(reply) {
    if (reply === null) return null;
    const { data } = issuedSchema.safeParse(jsonOf(textOf(reply, MAX_TICKET_BYTES, "utf8")));
    if (data === undefined) return undefined;
    const { app, key, fields, expiresAt } = data.principal;
    return { path: data.path, expiresAt: data.expiresAt, principal: { app, key, fields, expiresAt } };
  },
};

/** Returns undefined if the text is not JSON. */
export function jsonOf(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function listOf(reply: RedisReply | undefined): readonly RedisReply[] {
  return Array.isArray(reply) ? reply : [];
}

export function textOf(
  reply: RedisReply | undefined,
  maxBytes: number,
  encoding: "latin1" | "utf8" = "utf8",
): string | undefined {
  return Buffer.isBuffer(reply) && reply.length <= maxBytes ? reply.toString(encoding) : undefined;
}

/** Accepts a number, or a text of digits. */
function integerOf(reply: RedisReply | undefined): number | undefined {
  const text = textOf(reply, 32);
  const value = text !== undefined && INTEGER.test(text) ? Number(text) : reply;
  return Number.isSafeInteger(value) ? (value as number) : undefined;
}
