import { ProxyError } from "../base/errors.ts";
import type { Release } from "../base/release.ts";
import { clientNetwork } from "../http/address.ts";
import { retrySoon } from "../http/retry-after.ts";
import type { Places, StreamLimits } from "./counter-store.ts";

/** The places that are taken; streams outlive the limit under which they were opened. */
export interface PlaceCounts {
  taken: number;
  /** Contains only clients with an open stream, so the number of streams bounds it. */
  readonly byClient: Map<string, number>;
}

/** Counts places in this process. */
export class MemoryPlaces implements Places {
  readonly #limits: StreamLimits;
  readonly #counts: PlaceCounts;

  constructor(limits: StreamLimits, counts: PlaceCounts) {
    this.#limits = limits;
    this.#counts = counts;
  }

  take(address: string): Release {
    const counts = this.#counts;
    const client = clientNetwork(address);
    const own = counts.byClient.get(client) ?? 0;
    this.#check(client, own);
    counts.taken += 1;
    counts.byClient.set(client, own + 1);
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      counts.taken -= 1;
      const left = (counts.byClient.get(client) ?? 1) - 1;
      if (left === 0) counts.byClient.delete(client);
      else counts.byClient.set(client, left);
    };
  }

  #check(client: string, own: number): void {
    const { streams, streamsPerClient } = this.#limits;
    const { taken } = this.#counts;
    if (streamsPerClient !== undefined && own >= streamsPerClient) {
      const fields = [retrySoon()];
      throw new ProxyError("too_many_streams_of_client", `${own} streams of ${client} are open`, { fields });
    }
    if (streams === undefined || taken < streams) return;
    throw new ProxyError("too_many_streams", `${taken} streams are open`, { fields: [retrySoon()] });
  }
}
