import { createHash } from "node:crypto";
import type { Readable, ReplySchema } from "./reply.ts";
import {
  answerIdReply,
  appendReply,
  countedReply,
  countReply,
  leaseReply,
  releaseReply,
  sessionReply,
  ticketKeptReply,
  ticketReply,
} from "./schemas.ts";

/** A Lua script, the hash by which Redis knows it, and the schema of its reply. */
export interface Script<T extends Readable> {
  readonly text: string;
  readonly sha: string;
  readonly schema: ReplySchema<T>;
}

export const script = <T extends Readable>(schema: ReplySchema<T>, text: string): Script<T> => ({
  text,
  schema,
  sha: createHash("sha1").update(text).digest("hex"),
});

/**
 * Asks for the lease of a record or renews it, and always returns the state of the record.
 *
 * The fencing token is the newest one ever granted: a holder whose lease has expired keeps it until another instance
 * wants the lease. A new token is never less than the clock, so that a Redis that has lost all its data does not
 * grant an old token again. The script writes nothing unless the lease is granted, so that it also works on a
 * replica. A lease without an expiry counts as free: no version of ours writes one, and the record would otherwise
 * never get a leader again.
 */
export const LEASE = script(
  leaseReply,
  `
local lease, meta, events = KEYS[1], KEYS[2], KEYS[3]
local owner, token, leaseMs, wants, epoch, seen, keepMs, state =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local now = redis.call('HMGET', meta, 'token', 'epoch', 'state')
local granted = now[1] == token and now[2] == epoch
if not granted and wants == '1' and redis.call('PTTL', lease) < 0 then
  local clock = redis.call('TIME')
  local next = math.max(clock[1] * 1000 + math.floor(clock[2] / 1000), seen + 1)
  if now[1] then next = math.max(next, now[1] + 1) end
  now[1] = string.format('%.0f', next)
  if not now[2] then
    -- Events without their record: part of the keys was evicted.
    redis.call('DEL', events)
    now[2] = epoch
    redis.call('HSET', meta, 'epoch', epoch, 'bytes', 0)
  end
  redis.call('HSET', meta, 'token', now[1])
  granted = true
end
if granted then
  redis.call('SET', lease, owner, 'PX', leaseMs)
  if state ~= '' then
    redis.call('HSET', meta, 'state', state)
    now[3] = state
  end
  redis.call('PEXPIRE', meta, keepMs)
  redis.call('PEXPIRE', events, keepMs)
end
local newest = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
return {
  granted and 1 or 0, now[1] or '0', now[2] or '', now[3] or '',
  redis.call('PTTL', lease), newest and newest[1] or '0-0'
}
`,
);

/**
 * Appends events after the event that is the newest to the caller's knowledge, and trims the record to its bounds.
 *
 * Refuses a token that is not the newest, and reports if another event is the newest: a reply was lost, or Redis has
 * lost data. The newest event is never trimmed, because it carries the position.
 */
export const APPEND = script(
  appendReply,
  `
local lease, meta, events = KEYS[1], KEYS[2], KEYS[3]
local owner, token, epoch, leaseMs, keepMs, after = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local maxEvents, maxBytes, since = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local now = redis.call('HMGET', meta, 'token', 'epoch', 'bytes')
if now[1] ~= token or now[2] ~= epoch then return { 'fenced' } end
local newest = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
local top = newest and newest[1] or '0-0'
if top ~= after then return { 'other', top } end
local bytes = newest and tonumber(now[3] or '0') or 0
for at = 10, #ARGV, 5 do
  redis.call('XADD', events, ARGV[at],
    'v', '1', 'i', ARGV[at + 1], 'n', ARGV[at + 2], 't', ARGV[at + 3], 'b', ARGV[at + 4])
  bytes = bytes + #ARGV[at + 4]
end
local length = redis.call('XLEN', events)
local left = length
local page = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)
while left > 1 and page[1] do
  for _, entry in ipairs(page) do
    local size, at = 0, 0
    for field = 1, #entry[2], 2 do
      if entry[2][field] == 'b' then size = #entry[2][field + 1] end
      if entry[2][field] == 't' then at = tonumber(entry[2][field + 1]) or 0 end
    end
    if left <= 1 or (left <= maxEvents and bytes <= maxBytes and at >= since) then
      page = {}
      break
    end
    left = left - 1
    bytes = bytes - size
  end
  local last = page[#page]
  if last then
    local ms, seq = string.match(last[1], '(%d+)-(%d+)')
    page = redis.call('XRANGE', events, ms .. '-' .. string.format('%.0f', seq + 1), '+', 'COUNT', 16)
  end
end
if left < length then redis.call('XTRIM', events, 'MAXLEN', left) end
redis.call('HSET', meta, 'bytes', string.format('%.0f', bytes))
redis.call('SET', lease, owner, 'PX', leaseMs)
redis.call('PEXPIRE', meta, keepMs)
redis.call('PEXPIRE', events, keepMs)
return { 'ok' }
`,
);

/** Releases a lease if the caller still holds it. */
export const RELEASE = script(
  releaseReply,
  `
local now = redis.call('HMGET', KEYS[2], 'token', 'epoch')
if now[1] ~= ARGV[1] or now[2] ~= ARGV[2] then return 0 end
return redis.call('DEL', KEYS[1])
`,
);

/**
 * Replaces the state of a record, and takes its lease away: the present leader is fenced, sees another owner, and stops.
 * Does nothing without a record.
 */
export const OVERRIDE = script(
  countedReply,
  `
local lease, meta = KEYS[1], KEYS[2]
local state, leaseMs = ARGV[1], ARGV[2]
local token = redis.call('HGET', meta, 'token')
if not token then return 0 end
redis.call('HSET', meta, 'token', string.format('%.0f', token + 1), 'state', state)
redis.call('SET', lease, '', 'PX', leaseMs)
return 1
`,
);

/** Gives a name to an answer unless another answer than the replaced one has it; returns the id that has it. */
export const CLAIM = script(
  answerIdReply,
  `
local id, replaced, keepMs = ARGV[1], ARGV[2], ARGV[3]
local now = redis.call('GET', KEYS[1])
if now and now ~= replaced then return now end
redis.call('SET', KEYS[1], id, 'PX', keepMs)
return id
`,
);

/** Lets a name last, also one that Redis has lost, or frees it with a time of 0; not if another answer has it. */
export const HOLD = script(
  countedReply,
  `
local now = redis.call('GET', KEYS[1])
if now and now ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`,
);

/**
 * Counts in a window that begins with the first count; returns the count and the milliseconds left. A release after
 * the end of the window opens no new one.
 */
export const COUNT = script(
  countReply,
  `
local points = tonumber(ARGV[1])
local before = redis.call('GET', KEYS[1])
if points < 0 and not before then return { 0, 0 } end
redis.call('SET', KEYS[1], 0, 'PX', ARGV[2], 'NX')
-- An amount that was counted in an earlier window must not make this count negative.
points = math.max(points, -tonumber(before or 0))
local count = redis.call('INCRBY', KEYS[1], string.format('%.0f', points))
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  -- A window without an end would refuse its client for ever.
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return { count, left }
`,
);

/** Keeps a ticket. If `limit` tickets are unused already, returns instead when the oldest of them expires. */
export const PUT_TICKET = script(
  ticketKeptReply,
  `
local ticket, waiting = KEYS[1], KEYS[2]
local hash, issued, limit, now, expiresAt, keepMs = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now)
if redis.call('ZCARD', waiting) >= tonumber(limit) then
  return redis.call('ZRANGE', waiting, 0, 0, 'WITHSCORES')[2]
end
redis.call('SET', ticket, issued, 'PX', keepMs)
redis.call('ZADD', waiting, expiresAt, hash)
redis.call('PEXPIRE', waiting, math.max(tonumber(keepMs), redis.call('PTTL', waiting)))
return false
`,
);

/** Removes a ticket and returns it; only one of two simultaneous calls gets it. */
export const TAKE_TICKET = script(
  ticketReply,
  `
local issued = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return issued
`,
);

/** Returns the backend of a session, whose time then begins anew. */
export const FIND_SESSION = script(
  sessionReply,
  `
local backend = redis.call('GET', KEYS[1])
if backend then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return backend
`,
);
