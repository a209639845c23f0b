const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;

/**
 * How many event blocks there are in a part of a stream that is made of whole blocks, as most are that come in one
 * chunk; comments alone are none. It must begin where a block does. -1 when its last block is not whole or a CR is in
 * it: that takes a `Boundary`, which knows what came before.
 */
export function wholeEvents(bytes: Uint8Array, start: number, end: number): number {
  let events = 0;
  let isBlockEmpty = true;
  for (let at = start; at < end; at++) {
    if (bytes[at] === LF) {
      if (!isBlockEmpty) events++;
      isBlockEmpty = true;
    } else {
      if (bytes[at] !== COLON) isBlockEmpty = false;
      at = lineFeed(bytes, at, end);
      if (at < 0) return -1;
    }
  }
  return isBlockEmpty ? events : -1;
}

/** Where the line ends that goes on at `from`; -1 when it does not, or not with an LF alone. */
function lineFeed(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== LF && bytes[at] !== CR) at++;
  return at < end && bytes[at] === LF ? at : -1;
}
