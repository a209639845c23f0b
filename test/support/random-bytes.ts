/** Pseudo-random choices. */
export interface Random {
  /** Returns a number from 0 to `most`, inclusive. */
  upTo(most: number): number;
  chance(probability: number): boolean;
  one<T>(choices: readonly T[]): T;
}

/** Creates a fast generator (mulberry32): the same seed gives the same cases. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    upTo: (most) => Math.floor(next() * (most + 1)),
    chance: (probability) => next() < probability,
    one: (choices) => choices[Math.floor(next() * choices.length)] as never,
  };
}

const NASTY = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "0",
  "1",
  "f",
  "-",
  "+",
  "\x7f",
  "\xff",
  '"',
  "\r\n\r\n",
];

/** Returns a copy with one to three changes: a byte removed, bytes inserted, or a part repeated. */
export function spoiled(bytes: Buffer, { upTo, one }: Random): Buffer {
  let text = bytes.toString("latin1");
  for (let left = 1 + upTo(2); left > 0; left--) {
    const at = upTo(text.length);
    const kind = upTo(3);
    if (kind === 0) text = text.slice(0, at) + text.slice(at + 1 + upTo(3));
    else if (kind === 1) text = text.slice(0, at) + one(NASTY) + text.slice(at);
    else if (kind === 2) text = text.slice(0, at) + one(NASTY) + text.slice(at + 1);
    else text = text.slice(0, at) + text.slice(Math.max(0, at - upTo(20)));
  }
  return Buffer.from(text, "latin1");
}
