import { ProxyError } from "../base/errors.ts";
import { retrySoon } from "../http/retry-after.ts";
import {
  type CounterStore,
  CounterStoreUnavailable,
  type Places,
  type StreamLimits,
} from "./counter-store.ts";

/**
 * Returns the places for the streams of a route, or of the whole gateway if `name` is empty; undefined without a limit,
 * so that an unlimited stream costs no call to another process. If the store is unavailable, no place is free.
 */
export function createStreamLimit(
  store: Pick<CounterStore, "places">,
  name: string,
  { streams, streamsPerClient }: StreamLimits,
): Places | undefined {
  if (streams === undefined && streamsPerClient === undefined) return undefined;
  const places = store.places(name, { streams, streamsPerClient });
  return {
    take(address) {
      const place = places.take(address);
      return place instanceof Promise ? place.catch(refuseUncounted) : place;
    },
  };
}

function refuseUncounted(error: unknown): never {
  if (!(error instanceof CounterStoreUnavailable)) throw error;
  throw new ProxyError("too_many_streams", error.message, { cause: error, fields: [retrySoon()] });
}
