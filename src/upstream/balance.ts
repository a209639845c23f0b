import type { BalanceMethod } from "../config/upstream-schema.ts";

/** A backend as a balancing method sees it. */
export interface Candidate {
  readonly url: string;
  readonly weight: number;
  readonly inFlight: number;
}

/** Returns one of the candidates; `key` is the client's address. */
export type Balance<C extends Candidate> = (candidates: readonly [C, ...C[]], key: string) => C;

/** Creates a balancing method with a state of its own. */
export function createBalance<C extends Candidate>(
  method: BalanceMethod,
  random: () => number = Math.random,
): Balance<C> {
  switch (method) {
    case "roundRobin":
      return roundRobin();
    case "leastConnections":
      return leastConnections();
    case "hash":
      return hash();
    case "randomTwo":
      return (candidates) => randomTwo(candidates, random);
  }
}

/**
 * Smooth weighted round robin, as nginx does it: weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
 *
 * Each candidate gains its weight as credit; the one with the most credit is chosen and pays the sum of all weights.
 */
function roundRobin<C extends Candidate>(): Balance<C> {
  const credits = new WeakMap<C, number>();
  return (candidates) => {
    let [chosen] = candidates;
    let most = Number.NEGATIVE_INFINITY;
    let total = 0;
    for (const candidate of candidates) {
      const credit = (credits.get(candidate) ?? 0) + candidate.weight;
      credits.set(candidate, credit);
      total += candidate.weight;
      if (credit > most) [chosen, most] = [candidate, credit];
    }
    credits.set(chosen, most - total);
    return chosen;
  };
}

/**
 * Chooses the backend with the fewest requests in flight for its weight. Equal backends take turns: otherwise an idle
 * group would use only one of them.
 */
function leastConnections<C extends Candidate>(): Balance<C> {
  const inTurn = roundRobin<C>();
  return (candidates, key) => {
    const [first, ...others] = candidates;
    let least: [C, ...C[]] = [first];
    for (const candidate of others) {
      const order = byLoad(candidate, least[0]);
      if (order < 0) least = [candidate];
      else if (order === 0) least.push(candidate);
    }
    return inTurn(least, key);
  };
}

/** Compares loads by products, because the quotients of equal loads may differ by rounding. */
function byLoad(a: Candidate, b: Candidate): number {
  return a.inFlight * b.weight - b.inFlight * a.weight;
}

/**
 * Weighted rendezvous hashing: each candidate gets a score from its name and the key, and the highest score wins.
 *
 * When a backend leaves, only its own clients move; when it comes back it gets the same clients again.
 */
function hash<C extends Candidate>(): Balance<C> {
  const seeds = new WeakMap<C, number>();
  const seedOf = (candidate: C): number => {
    const seed = seeds.get(candidate) ?? hashOf(candidate.url);
    seeds.set(candidate, seed);
    return seed;
  };
  return (candidates, key) => {
    const keyHash = hashOf(key);
    let [chosen] = candidates;
    let best = Number.NEGATIVE_INFINITY;
    for (const candidate of candidates) {
      // Strictly between 0 and 1; the logarithm makes the shares follow the weights.
      const lot = (mixed(keyHash ^ seedOf(candidate)) + 0.5) / 2 ** 32;
      const score = candidate.weight / -Math.log(lot);
      if (score > best) [chosen, best] = [candidate, score];
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
function randomTwo<C extends Candidate>(candidates: readonly [C, ...C[]], random: () => number): C {
  const one = drawn(candidates, random);
  const [head, ...rest] = candidates.filter((candidate) => candidate !== one);
  if (head === undefined) return one;
  const other = drawn([head, ...rest], random);
  return byLoad(other, one) < 0 ? other : one;
}

function drawn<C extends Candidate>(candidates: readonly [C, ...C[]], random: () => number): C {
  let left = random() * candidates.reduce((sum, { weight }) => sum + weight, 0);
  for (const candidate of candidates) {
    left -= candidate.weight;
    if (left < 0) return candidate;
  }
  return candidates[0];
}
