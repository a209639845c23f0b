import { eachRecipient } from "./delivery.ts";
import type { History } from "./history.ts";
import type { StoredEvent, StreamRecord } from "./store.ts";

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

/** A client that is under way. */
interface Movable {
  readonly seq: number;
  move(start: Start, lastEventId: string): void;
  /** Ends it alone, with an error of our own. */
  fail(error: unknown): void;
}

/**
 * Puts another record in place of the one that clients are on. Whoever was given what is not in the new one gets
 * everything behind the newest event that both have, some of it perhaps once more, behind a word that it is not
 * the same as before.
 */
export function replaceRecord(history: History, record: StreamRecord, clients: readonly Movable[]): void {
  const before = history.after(0);
  history.reset(record);
  const common = before.findLast(({ id }) => history.seqOf(id) !== undefined);
  eachRecipient(clients, (client) => {
    const lastEventId = before[client.seq - (before[0]?.seq ?? 0)]?.id ?? "";
    client.move(placeIn(history, { seq: client.seq, lastEventId }, common), lastEventId);
  });
}

function placeIn(
  history: History,
  { seq, lastEventId }: { readonly seq: number; readonly lastEventId: string },
  common: StoredEvent | undefined,
): Start {
  // It was given nothing yet: what it waits for is what comes next.
  if (lastEventId === "") return { seq: history.lastSeq, resumedFrom: "live", isGap: true };
  const start = startFor(history, lastEventId);
  const sharedSeq = common === undefined || common.seq > seq ? undefined : history.seqOf(common.id);
  if (!start.isGap || sharedSeq === undefined) return start;
  return { seq: sharedSeq, resumedFrom: common?.id, isGap: true };
}
