/** Pseudo-random choices (mulberry32). */
export function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const upTo = (most) => Math.floor(next() * (most + 1));
  return {
    /** Returns a number from 0 to `most`, inclusive. */
    upTo,
    chance: (probability) => next() < probability,
    one: (choices) => choices[Math.floor(next() * choices.length)],
    /** Returns up to `most` of the choices, each at most once. */
    some: (choices, most) => {
      const left = [...choices];
      return Array.from({ length: upTo(Math.min(most, left.length)) }, () =>
        left.splice(upTo(left.length - 1), 1),
      ).flat();
    },
    /** Returns one of `{ name: weight }`, by weight. */
    weighted: (weights) => {
      const entries = Object.entries(weights);
      let at = next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [name, weight] of entries) {
        at -= weight;
        if (at < 0) return name;
      }
      return entries.at(-1)[0];
    },
  };
}

/** Creates the generator of one case, so that the case can be repeated alone. */
export const randomOf = (seed, index) =>
  randomFrom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));

/** Draws the splits of a write: ascending offsets below `length`, each with the pause in ms before the next write. */
export function drawSplits(random, length) {
  const count = random.weighted({ 0: 5, 1: 2, 2: 1, 5: 1 });
  return Array.from({ length: Number(count) }, () => ({
    at: random.upTo(length),
    ms: random.chance(0.5) ? 0 : random.upTo(8),
  })).sort((a, b) => a.at - b.at);
}

/** Bytes that parsers must refuse. */
export const GARBAGE = [
  "\0",
  "\0\0\0\0",
  "\r",
  "\n\n",
  "\x80\xff\xfe",
  "\r\n\r\n",
  "HTTP/1.1 200 OK\r\n\r\n",
  "GET / HTTP/1.1\r\n\r\n",
  "ffffffffffffffffffff\r\n",
  "0\r\n\r\n",
  " \t",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01",
];
