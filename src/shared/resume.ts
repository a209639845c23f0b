import type { History } from "./history.ts";

/** Where in a stream a client begins. */
export interface Start {
  /** It has everything up to this position. */
  readonly seq: number;
  /** What `Sluice-Resumed-From` says: its own id, `earliest` or `live`; undefined for who did not ask. */
  readonly resumedFrom: string | undefined;
  /** It may have missed events that are not there any more. */
  readonly isGap: boolean;
}

/**
 * Finds a client's place by its last event id (bytes as latin1, empty for none). Whoever has none begins with
 * what comes next; whose id is not known gets all there is, behind a word that something may be missing.
 */
export function startFor(history: History, lastEventId: string): Start {
  if (lastEventId === "") return { seq: history.lastSeq, resumedFrom: undefined, isGap: false };
  const seq = history.seqOf(lastEventId);
  if (seq !== undefined) return { seq, resumedFrom: lastEventId, isGap: false };
  return {
    seq: history.firstSeq - 1,
    resumedFrom: history.isEmpty ? "live" : "earliest",
    isGap: true,
  };
}
