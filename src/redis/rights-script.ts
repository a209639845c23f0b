import { forbiddenReply } from "./schemas.ts";
import { script } from "./scripts.ts";

/**
 * Tries each command of our scripts, and each that is sent with a key, and returns the names of those that the user may
 * not run. The arguments are such that no command writes: the key does not exist, or the value is invalid, which Redis
 * notices after it has checked the rights.
 */
export const RIGHTS = script(
  forbiddenReply,
  `
local forbidden = {}
local function try(name, ...)
  local reply = redis.pcall(name, ...)
  local err = type(reply) == 'table' and reply.err or ''
  for _, part in ipairs({ 'NOPERM', 'ACL failure', "can't run", "can't access" }) do
    if string.find(err, part, 1, true) then
      forbidden[#forbidden + 1] = string.lower(name)
      break
    end
  end
end
local key = KEYS[1]
try('TIME')
try('GET', key)
try('SET', key, '', 'XX')
try('DEL', key)
try('EXISTS', key)
try('PEXPIRE', key, 1)
try('PTTL', key)
try('INCRBY', key, 'x')
try('HGET', key, 'f')
try('HMGET', key, 'f')
try('HSET', key, 'f', 'v', 'g')
try('XADD', key, 'x', 'f', 'v')
try('XLEN', key)
try('XRANGE', key, '-', '+', 'COUNT', 1)
try('XREVRANGE', key, '+', '-', 'COUNT', 1)
try('XREAD', 'COUNT', 1, 'STREAMS', key, '0-0')
try('XTRIM', key, 'MAXLEN', 1)
try('ZADD', key, 'x', 'm')
try('ZCARD', key)
try('ZRANGE', key, 0, 0)
try('ZREM', key, 'm')
try('ZREMRANGEBYSCORE', key, 1, 0)
return forbidden
`,
);
