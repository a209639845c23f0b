import { eachRecipient } from "./delivery.ts";
import type { History } from "./history.ts";
import type { StoredEvent, StreamRecord } from "./store.ts";

/** The start of a client in a stream. */
export interface Start {
  /** The client has all events up to this position. */
  readonly seq: number;
  /** The value of `Sluice-Resumed-From`: its own id, `earliest` or `live`; undefined if it sent no id. */
  readonly resumedFrom: string | undefined;
  /** Whether the client may have missed events that are not kept. */
  readonly isGap: boolean;
  /** The part of the event block at `seq` that the client lacks; a block of a named answer may hold several events. */
  readonly rest?: Buffer;
}

/**
 * Finds a client's start by its last event id (bytes as latin1, empty for none). A client without an id gets new events
 * only. A client with an unknown id gets a gap event and then the whole history.
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

/** A client whose stream has begun. */
interface Movable {
  readonly seq: number;
  move(start: Start, lastEventId: string): void;
  /** Ends this client alone, with a fault. */
  fail(error: unknown): void;
}

/**
 * Replaces the record that clients are on. A client whose last event is not in the new record gets a gap event, and then
 * everything behind the newest event that both records have; some events may come twice.
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
  // The client has received no event yet: it waits for new events.
  if (lastEventId === "") return { seq: history.lastSeq, resumedFrom: "live", isGap: true };
  const start = startFor(history, lastEventId);
  const sharedSeq = common === undefined || common.seq > seq ? undefined : history.seqOf(common.id);
  if (!start.isGap || sharedSeq === undefined) return start;
  return { seq: sharedSeq, resumedFrom: common?.id, isGap: true };
}
