import type { BalanceConfig } from "../config/balance-schema.ts";

/** A backend as a balancing method sees it. */
export interface Candidate {
  readonly url: string;
  readonly weight: number;
  readonly inFlight: number;
  readonly isAvailable: boolean;
}

/**
 * Returns an available candidate that is not in `tried`; undefined if there is none. `key` is the text that `hash`
 * hashes; undefined if the request has none. It runs for each request, so it allocates nothing.
 */
export type Balance<C extends Candidate> = (tried: readonly C[], key: string | undefined) => C | undefined;

/** Creates a balancing method for these candidates, with a state of its own. */
export function createBalance<C extends Candidate>(
  candidates: readonly C[],
  method: BalanceConfig["method"],
  random: () => number = Math.random,
): Balance<C> {
  const [only] = candidates;
  if (candidates.length <= 1)
    return (tried) => (only !== undefined && isUsable(only, tried) ? only : undefined);
  switch (method) {
    case "roundRobin": {
      const turns = new Turns(candidates);
      return (tried) => turns.next(tried, undefined);
    }
    case "leastConnections":
      return leastConnections(candidates);
    case "hash":
      return hash(candidates);
    case "randomTwo":
      return (tried) => randomTwo(candidates, tried, random);
  }
}

function isUsable<C extends Candidate>(candidate: C, tried: readonly C[]): boolean {
  return candidate.isAvailable && !tried.includes(candidate);
}

/**
 * Smooth weighted round robin, as nginx does it: weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
 *
 * Each usable candidate gains its weight as credit; the one with the most credit is chosen and pays the sum of all
 * weights.
 */
class Turns<C extends Candidate> {
  readonly #candidates: readonly C[];
  /** By the candidate's index. */
  readonly #credits: number[];

  constructor(candidates: readonly C[]) {
    this.#candidates = candidates;
    this.#credits = candidates.map(() => 0);
  }

  /** Returns the next usable candidate, with `peer` the next of those that are as loaded as `peer`. */
  next(tried: readonly C[], peer: C | undefined): C | undefined {
    let chosen: C | undefined;
    let chosenAt = 0;
    let most = 0;
    let total = 0;
    let at = -1;
    for (const candidate of this.#candidates) {
      at++;
      if (!isUsable(candidate, tried)) continue;
      if (peer !== undefined && byLoad(candidate, peer) !== 0) continue;
      const credit = (this.#credits[at] ?? 0) + candidate.weight;
      this.#credits[at] = credit;
      total += candidate.weight;
      if (chosen !== undefined && credit <= most) continue;
      chosen = candidate;
      chosenAt = at;
      most = credit;
    }
    if (chosen !== undefined) this.#credits[chosenAt] = most - total;
    return chosen;
  }
}

/**
 * Chooses the backend with the fewest requests in flight for its weight. Equal backends take turns: otherwise an idle
 * group would use only one of them.
 */
function leastConnections<C extends Candidate>(candidates: readonly C[]): Balance<C> {
  const turns = new Turns(candidates);
  return (tried) => {
    let least: C | undefined;
    for (const candidate of candidates) {
      if (!isUsable(candidate, tried)) continue;
      if (least === undefined || byLoad(candidate, least) < 0) least = candidate;
    }
    return least === undefined ? undefined : turns.next(tried, least);
  };
}

/** Compares loads by products, because the quotients of equal loads may differ by rounding. */
function byLoad(a: Candidate, b: Candidate): number {
  return a.inFlight * b.weight - b.inFlight * a.weight;
}

/**
 * Weighted rendezvous hashing: each candidate gets a score from its name and the key, and the highest score wins.
 *
 * When a backend leaves, only its own keys move, each to the candidate with the next score; when it comes back it gets
 * the same keys again. A request without a key goes to the backend with the fewest requests.
 */
function hash<C extends Candidate>(candidates: readonly C[]): Balance<C> {
  const seeds = candidates.map(({ url }) => hashOf(url));
  const withoutKey = leastConnections(candidates);
  return (tried, key) => {
    if (key === undefined) return withoutKey(tried, key);
    const keyHash = hashOf(key);
    let chosen: C | undefined;
    let best = Number.NEGATIVE_INFINITY;
    let at = -1;
    for (const candidate of candidates) {
      at++;
      if (!isUsable(candidate, tried)) continue;
      // Strictly between 0 and 1; the logarithm makes the shares follow the weights.
      const lot = (mixed(keyHash ^ (seeds[at] ?? 0)) + 0.5) / 2 ** 32;
      const score = candidate.weight / -Math.log(lot);
      if (score <= best) continue;
      chosen = candidate;
      best = score;
    }
    return chosen;
  };
}

/** Returns a mixed FNV-1a hash of 32 bits: addresses of one network differ in their last characters only. */
function hashOf(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return mixed(value);
}

/** The finalizer of MurmurHash3: each bit of the input changes half of the bits of the output. */
function mixed(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/**
 * Draws two candidates by weight and returns the less loaded one: close to the least loaded of all, without a rush to
 * it.
 */
function randomTwo<C extends Candidate>(
  candidates: readonly C[],
  tried: readonly C[],
  random: () => number,
): C | undefined {
  const one = drawn(candidates, tried, undefined, random);
  const other = drawn(candidates, tried, one, random);
  return one !== undefined && other !== undefined && byLoad(other, one) < 0 ? other : one;
}

/** Draws a usable candidate by weight, but not `except`. */
function drawn<C extends Candidate>(
  candidates: readonly C[],
  tried: readonly C[],
  except: C | undefined,
  random: () => number,
): C | undefined {
  let total = 0;
  for (const candidate of candidates) {
    if (candidate !== except && isUsable(candidate, tried)) total += candidate.weight;
  }
  let left = random() * total;
  let last: C | undefined;
  for (const candidate of candidates) {
    if (candidate === except || !isUsable(candidate, tried)) continue;
    last = candidate;
    left -= candidate.weight;
    if (left < 0) return candidate;
  }
  return last;
}
