const NAME = "sluice.gap";

/**
 * What tells a client that events were lost to it: `event: sluice.gap`, with the id that it had and where its
 * stream goes on, an id, `earliest` or `live`. Ids are bytes as latin1, and leave as the bytes they are.
 */
export function gapBlock(lastEventId: string, resumedFrom: string): Buffer {
  const data = JSON.stringify({ lastEventId, resumedFrom });
  return Buffer.from(`event: ${NAME}\ndata: ${data}\n\n`, "latin1");
}

const MARKER = Buffer.from(`event: ${NAME}\n`);

/** Whether an event is such a mark, with an id of ours in front or without. */
export function isGap(block: Buffer): boolean {
  return block.subarray(0, 128).includes(MARKER);
}
