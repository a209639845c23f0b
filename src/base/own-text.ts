/** V8 copies what is cut out of a text where it is shorter than this. */
const MIN_SLICE = 13;

/**
 * The same text, of characters of one byte, apart from the one that it was cut out of: of that V8 keeps the whole
 * for the sake of a part. An id of 36 bytes held a browser's head of two thousand, for as long as its stream.
 */
export function ownText(text: string): string {
  return text.length < MIN_SLICE ? text : Buffer.from(text, "latin1").toString("latin1");
}
