const NAME = "sluice.gap";

/**
 * Returns the event that tells a client of lost events: `event: sluice.gap`, with the client's id and where its stream
 * resumes (an id, `earliest` or `live`). Ids are bytes as latin1 and are sent as these bytes.
 */
export function gapBlock(lastEventId: string, resumedFrom: string): Buffer {
  const data = JSON.stringify({ lastEventId, resumedFrom });
  return Buffer.from(`event: ${NAME}\ndata: ${data}\n\n`, "latin1");
}

const MARKER = Buffer.from(`event: ${NAME}\n`);

/** Whether a block is a gap event, with or without an `id` line in front. */
export function isGap(block: Buffer): boolean {
  return block.subarray(0, 128).includes(MARKER);
}
