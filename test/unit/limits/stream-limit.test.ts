import fc from "fast-check";
import { expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import { MemoryCounterStore } from "../../../src/limits/memory-counter-store.ts";
import type { MemoryPlaces } from "../../../src/limits/memory-places.ts";
import { createStreamLimit } from "../../../src/limits/stream-limit.ts";

const placesOf = (streams: number | undefined, streamsPerClient: number) =>
  new MemoryCounterStore(1).places("main", { streams, streamsPerClient });

const tryTake = (places: MemoryPlaces, address: string): (() => void) | string => {
  try {
    return places.take(address);
  } catch (error) {
    return error instanceof ProxyError ? error.code : "another error";
  }
};

test("property: the places taken are those not released, in any order and however often each is released", () => {
  const act = fc.oneof(
    fc.record({ client: fc.nat(3) }),
    fc.record({ release: fc.nat(40), times: fc.integer({ min: 1, max: 3 }) }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 4 }),
      fc.array(act, { maxLength: 80 }),
      (streams, streamsPerClient, acts) => {
        const places = placesOf(streams, streamsPerClient);
        const held: { client: string; isOpen: boolean; release: () => void }[] = [];
        const open = (client?: string) =>
          held.filter((one) => one.isOpen && (client === undefined || one.client === client)).length;
        for (const one of acts) {
          if ("release" in one) {
            const place = held[one.release];
            for (let n = 0; n < one.times; n++) place?.release();
            if (place !== undefined) place.isOpen = false;
          } else {
            const client = `10.0.0.${one.client}`;
            const result = tryTake(places, client);
            if (open(client) >= streamsPerClient) expect(result).toBe("too_many_streams_of_client");
            else if (open() >= streams) expect(result).toBe("too_many_streams");
            else if (typeof result === "string") expect.fail(result);
            else held.push({ client, isOpen: true, release: result });
          }
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test("addresses in one /64 are one client, addresses in two are two", () => {
  const places = placesOf(undefined, 1);
  expect(tryTake(places, "2001:db8::1")).toBeTypeOf("function");
  expect(tryTake(places, "2001:db8:0:0:ffff::2")).toBe("too_many_streams_of_client");
  expect(tryTake(places, "2001:db8:0:1::1")).toBeTypeOf("function");
});

test("without a limit nothing is counted", () => {
  expect(
    createStreamLimit(new MemoryCounterStore(1), "main", { streams: undefined, streamsPerClient: undefined }),
  ).toBeUndefined();
});
