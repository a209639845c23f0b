import type { History } from "../shared/history.ts";
import type { Start } from "../shared/resume.ts";
import { Boundary } from "../sse/boundary.ts";
import { readEventFields } from "../sse/event-fields.ts";

/**
 * Finds where a client begins in an answer: behind its last event id (bytes as latin1), or at the start without one.
 * Returns undefined if the id is unknown, or if what follows is no longer kept.
 */
export function answerStart(history: History, lastEventId: string): Start | undefined {
  if (lastEventId === "") {
    return history.firstSeq === 1 ? { seq: 0, resumedFrom: "earliest", isGap: false } : undefined;
  }
  const seq = history.seqOf(lastEventId);
  if (seq !== undefined) return { seq, resumedFrom: lastEventId, isGap: false };
  return within(history, lastEventId);
}

/** Finds an id that is not the last one of a block; most clients return near the end, so the newest block comes first. */
function within(history: History, id: string): Start | undefined {
  const text = Buffer.from(id, "latin1");
  for (let seq = history.lastSeq; seq >= history.firstSeq; seq--) {
    const block = history.at(seq)?.block;
    // One native search rules out nearly every block.
    if (block === undefined || !block.includes(text)) continue;
    const end = endOfEvent(block, id);
    if (end === undefined) continue;
    const start = { seq, resumedFrom: id, isGap: false };
    return end === block.length ? start : { ...start, rest: block.subarray(end) };
  }
  return undefined;
}

/** Returns the end of the last event in a block that has this id; undefined if none has it. */
function endOfEvent(block: Buffer, id: string): number | undefined {
  const boundary = new Boundary();
  let end: number | undefined;
  for (let from = 0; from < block.length; ) {
    const to = boundary.scan(block, from, block.length, true);
    if (boundary.isAtBoundary && readEventFields(block.subarray(from, to)).id === id) end = to;
    from = to;
  }
  return end;
}

/** Whether the bytes end between two events, where a comment line may follow; their start must be at a boundary. */
export function endsBetweenEvents(block: Buffer): boolean {
  const boundary = new Boundary();
  boundary.scan(block, 0, block.length);
  return boundary.isAtBoundary;
}
