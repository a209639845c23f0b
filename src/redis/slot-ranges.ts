import type { RedisReply, ReplySchema } from "./reply.ts";
import { listOf, textOf } from "./schemas.ts";
import { SLOTS } from "./slot.ts";

/** A part of the slots of a cluster, and its master. */
export interface SlotRange {
  readonly from: number;
  readonly to: number;
  /** Empty if the node that was asked does not know its own address. */
  readonly host: string;
  readonly port: number;
}

/** The reply to CLUSTER SLOTS; only the first node of a range is its master. */
export const slotRangesReply: ReplySchema<readonly SlotRange[]> = {
  kind: "cluster",
  read(reply) {
    if (!Array.isArray(reply)) return undefined;
    const ranges = (reply as readonly RedisReply[]).map(readSlotRange);
    return ranges.includes(undefined) ? undefined : (ranges as SlotRange[]);
  },
};

function readSlotRange(reply: RedisReply): SlotRange | undefined {
  const [from, to, master] = listOf(reply);
  const [name, port] = listOf(master);
  const host = name === null ? "" : textOf(name, 255);
  const numbers = [from, to, port] as readonly number[];
  if (host === undefined || !numbers.every((number) => Number.isInteger(number) && number >= 0))
    return undefined;
  const [first = 0, last = 0, at = 0] = numbers;
  if (first > last || last >= SLOTS || at === 0 || at > 65_535) return undefined;
  return { from: first, to: last, host: host === "?" ? "" : host, port: at };
}
