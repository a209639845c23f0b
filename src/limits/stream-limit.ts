import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import type { LimitsConfig } from "../config/limits-schema.ts";
import { clientNetwork } from "../http/address.ts";
import { retrySoon } from "../http/retry-after.ts";

/** Counts the event streams of a route that are open or about to open. */
export interface StreamLimit {
  /**
   * Takes a place for a stream of this client, or throws `too_many_streams` (503) or
   * `too_many_streams_of_client` (429). Whoever has one gives it back; a second time does nothing.
   */
  acquire(address: string): Release | Promise<Release>;
}

/** One that counts in this process. */
export interface LocalStreamLimit extends StreamLimit {
  acquire(address: string): Release;
  /** Places taken. */
  readonly taken: number;
  readonly counts: StreamCounts;
}

/** How many streams there may be, over all and for one client; undefined: any. */
export type StreamLimits = Pick<LimitsConfig, "streams" | "streamsPerClient">;

/** The places that are taken; streams outlive the limit under which they were opened. */
interface StreamCounts {
  taken: number;
  /** Only clients with a stream are in it, so the streams themselves bound it. */
  readonly byClient: Map<string, number>;
}

/** Undefined when the route has no limit. The streams of `previous` go on counting. */
export function createStreamLimit(
  { streams, streamsPerClient }: StreamLimits,
  previous?: LocalStreamLimit,
): LocalStreamLimit | undefined {
  if (streams === undefined && streamsPerClient === undefined) return undefined;
  const counts = previous?.counts ?? { taken: 0, byClient: new Map<string, number>() };
  const { byClient } = counts;

  function refusalFor(client: string, own: number): ProxyError | undefined {
    const fields = [retrySoon()];
    if (streamsPerClient !== undefined && own >= streamsPerClient) {
      return new ProxyError("too_many_streams_of_client", `${own} of ${client}`, { fields });
    }
    if (streams === undefined || counts.taken < streams) return undefined;
    return new ProxyError("too_many_streams", `${counts.taken} are open`, { fields });
  }

  function acquire(address: string): Release {
    const client = clientNetwork(address);
    const refusal = refusalFor(client, byClient.get(client) ?? 0);
    if (refusal !== undefined) throw refusal;
    counts.taken += 1;
    byClient.set(client, (byClient.get(client) ?? 0) + 1);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      counts.taken -= 1;
      const left = (byClient.get(client) ?? 1) - 1;
      if (left === 0) byClient.delete(client);
      else byClient.set(client, left);
    };
  }

  return {
    acquire,
    counts,
    get taken() {
      return counts.taken;
    },
  };
}
