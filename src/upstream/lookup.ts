import dns, { type LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";

type Waiting = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;

/**
 * Resolves host names for new connections, each name once at a time.
 *
 * Results are not cached: every new connection resolves its name, so a changed address is used at once. But a name that
 * is being resolved is not asked for again: further callers wait for that result. Node resolves on four threads, which
 * file access shares; a name server that does not answer would block all of them with the same question.
 */
export function createLookup(): LookupFunction {
  const waiting = new Map<string, Waiting[]>();

  function resolve(hostname: string, family: number, hints: number, callback: Waiting): void {
    const key = `${hostname} ${family} ${hints}`;
    const others = waiting.get(key);
    if (others !== undefined) {
      others.push(callback);
      return;
    }
    const asked = [callback];
    waiting.set(key, asked);
    dns.lookup(hostname, { family, hints, all: true }, (error, addresses) => {
      waiting.delete(key);
      for (const answer of asked) answer(error, addresses);
    });
  }

  return (hostname, { family = 0, hints = 0, all = false }, callback) => {
    resolve(hostname, familyNumber(family), hints, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || all || first === undefined) callback(error, addresses ?? []);
      else callback(null, first.address, first.family);
    });
  };
}

function familyNumber(family: number | "IPv4" | "IPv6"): number {
  if (typeof family === "number") return family;
  return family === "IPv4" ? 4 : 6;
}
