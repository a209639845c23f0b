import * as z from "zod";
import { fieldValue, token } from "../config/scalars.ts";
import type { Issued } from "../limits/counter-store.ts";
import { decodeEntries, type Entry, type Position, parsePosition } from "./entry.ts";
import type { RedisReply, ReplySchema } from "./reply.ts";

/** The schemas of all answers of Redis. Those that come with each event or request are written out by hand. */

/** How a record stands, and whether its lease is ours. */
export interface LeaseReply {
  readonly isGranted: boolean;
  /** The newest that was granted to anybody; 0 for none. */
  readonly token: number;
  /** Names the record; empty before the first lease. */
  readonly epoch: string;
  /** The leader's last word on its backend, as it wrote it; empty before the first. */
  readonly state: string;
  /** Until the lease may be granted to another; negative when nobody holds it. */
  readonly leftMs: number;
  /** Where the newest event stands. */
  readonly top: Position;
}

/** It stands in event ids, so it must not end a line there. */
const EPOCH = /^[\x21-\x7e]{0,64}$/;

const INTEGER = /^\d{1,16}$/;

/** A word is a few hundred bytes; a field of a backend's refusal can make it some kilobytes. */
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
    // What is granted has a token and a name.
    if (granted === 1 && (newest === 0 || name === "")) return undefined;
    return { isGranted: granted === 1, token: newest, epoch: name, state: word, leftMs, top: position };
  },
};

/** What the script says of an append. */
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

/** How many keys were deleted. */
export const releaseReply: ReplySchema<number> = { kind: "release", read: integerOf };

/** Entries of one stream, oldest first. */
export const entriesReply: ReplySchema<readonly Entry[]> = {
  kind: "entry",
  read(reply) {
    const { entries, isWhole } = decodeEntries(reply);
    return isWhole ? entries : undefined;
  },
};

/** One stream's part of an answer to XREAD, its entries not read yet. */
export interface StreamPart {
  readonly name: string;
  readonly entries: readonly RedisReply[];
}

/** An empty list when the wait was over before an entry came. */
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

/** A notice as it stands in its stream: its id, and the record that it names; undefined when it has another form. */
export interface Notice {
  readonly id: string;
  readonly record: string | undefined;
}

/** The milliseconds of a notice's id are Redis's own, so it is kept as text. */
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

/** Hashes of the definitions in use. Those that another version spells otherwise are passed over. */
export const definitionsReply: ReplySchema<readonly string[]> = {
  kind: "definition",
  read(reply) {
    if (!Array.isArray(reply)) return undefined;
    const texts = (reply as readonly RedisReply[]).map((hash) => textOf(hash, 64));
    return texts.filter((text) => text !== undefined && /^[\w-]+$/.test(text)) as string[];
  },
};

/** A window: how often it was counted, and how long it still lasts. */
export interface WindowCount {
  readonly count: number;
  readonly leftMs: number;
}

export const countReply: ReplySchema<WindowCount> = {
  kind: "count",
  read(reply) {
    const [count, leftMs] = listOf(reply);
    if (!Number.isSafeInteger(count) || !Number.isSafeInteger(leftMs)) return undefined;
    return { count: count as number, leftMs: Math.max(0, leftMs as number) };
  },
};

/** Whether a signature was new. Any other answer than these two says neither, so the request is refused. */
export const signatureReply: ReplySchema<"new" | "seen"> = {
  kind: "signature",
  read(reply) {
    if (reply === null) return "seen";
    return textOf(reply, 8) === "OK" ? "new" : undefined;
  },
};

/** Null when the ticket was kept, else when the oldest of those that wait expires, in ms since the epoch. */
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
    // They tell the backend who it is, so each must be one field.
    fields: z.array(z.tuple([token, fieldValue])).max(64),
    expiresAt: z.number().optional(),
  }),
});

/** Longer than any that is issued: a path and a principal's fields. */
const MAX_TICKET_BYTES = 256 * 1024;

/** Null when there is no such ticket. */
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

/** Undefined for what is no JSON. */
export function jsonOf(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function listOf(reply: RedisReply | undefined): readonly RedisReply[] {
  return Array.isArray(reply) ? reply : [];
}

function textOf(
  reply: RedisReply | undefined,
  maxBytes: number,
  encoding: "latin1" | "utf8" = "utf8",
): string | undefined {
  return Buffer.isBuffer(reply) && reply.length <= maxBytes ? reply.toString(encoding) : undefined;
}

/** A number, or a text of digits. */
function integerOf(reply: RedisReply | undefined): number | undefined {
  const text = textOf(reply, 32);
  const value = text !== undefined && INTEGER.test(text) ? Number(text) : reply;
  return Number.isSafeInteger(value) ? (value as number) : undefined;
}
