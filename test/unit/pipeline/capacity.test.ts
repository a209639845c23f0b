import { describe, expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import { Capacity } from "../../../src/pipeline/capacity.ts";
import { LocalCounters } from "../../../src/pipeline/counters.ts";

const NONE = { connections: undefined, streams: undefined, streamsPerClient: undefined };

const capacityOf = (limits: ConstructorParameters<typeof Capacity>[0], files?: number) =>
  new Capacity(limits, new LocalCounters(1), files);

const enterMany = (capacity: Capacity, count: number) =>
  Array.from({ length: count }, () => capacity.enter());

const refusal = (act: () => unknown): string | undefined => {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof ProxyError) return error.code;
    throw error;
  }
};

describe("connections", () => {
  test("beyond the limit some are refused, the rest closed; one that leaves makes room", () => {
    const capacity = capacityOf({ ...NONE, connections: 2 });
    const admissions = enterMany(capacity, 2 + 64 + 1);
    expect(admissions.slice(0, 2)).toEqual(["served", "served"]);
    expect(new Set(admissions.slice(2, 66))).toEqual(new Set(["refused"]));
    expect(admissions[66]).toBe("closed");
    for (let left = 0; left < 66; left++) capacity.leave("served");
    expect(capacity.enter()).toBe("served");
  });

  test("auto: as many as there are files, less the reserve and the streams' backend connections", async () => {
    const capacity = capacityOf({ ...NONE, connections: "auto" }, 2000);
    const release = await capacity.acquireStream("10.0.0.1", true);
    expect(enterMany(capacity, 1744).filter((admission) => admission === "served")).toHaveLength(1743);
    release();
    capacity.leave("served");
    expect(capacity.enter()).toBe("served");
  });

  test("auto with few files keeps a quarter back", () => {
    const capacity = capacityOf({ ...NONE, connections: "auto" }, 100);
    expect(enterMany(capacity, 100).filter((admission) => admission === "served")).toHaveLength(75);
  });

  test("off counts nothing", () => {
    const capacity = capacityOf(NONE, 10);
    expect(new Set(enterMany(capacity, 1000))).toEqual(new Set(["served"]));
  });
});

describe("streams", () => {
  test("a count is over all routes, and a place that was given back twice is one place", async () => {
    const capacity = capacityOf({ ...NONE, streams: 1 });
    const release = await capacity.acquireStream("10.0.0.1", true);
    expect(refusal(() => capacity.acquireStream("10.0.0.2", true))).toBe("too_many_streams");
    release();
    release();
    await capacity.acquireStream("10.0.0.1", true);
    expect(refusal(() => capacity.acquireStream("10.0.0.2", true))).toBe("too_many_streams");
  });

  test("one client has its own limit", async () => {
    const capacity = capacityOf({ ...NONE, streamsPerClient: 1 });
    await capacity.acquireStream("10.0.0.1", true);
    expect(refusal(() => capacity.acquireStream("10.0.0.1", true))).toBe("too_many_streams_of_client");
    expect(refusal(() => capacity.acquireStream("10.0.0.2", true))).toBeUndefined();
  });

  test("auto: a stream with a backend connection needs a file more than one that shares it", () => {
    const capacity = capacityOf({ ...NONE, streams: "auto" }, 16);
    enterMany(capacity, 12);
    expect(refusal(() => capacity.acquireStream("10.0.0.1", true))).toBe("too_many_streams");
    expect(refusal(() => capacity.acquireStream("10.0.0.1", false))).toBeUndefined();
    capacity.leave("served");
    expect(refusal(() => capacity.acquireStream("10.0.0.1", true))).toBeUndefined();
    expect(refusal(() => capacity.acquireStream("10.0.0.1", true))).toBe("too_many_streams");
  });

  test("a new limit counts what is open", async () => {
    const capacity = capacityOf({ ...NONE, streams: 5 });
    const release = await capacity.acquireStream("10.0.0.1", true);
    capacity.limits = { ...NONE, streams: 1 };
    expect(refusal(() => capacity.acquireStream("10.0.0.2", true))).toBe("too_many_streams");
    release();
    expect(refusal(() => capacity.acquireStream("10.0.0.2", true))).toBeUndefined();
  });

  test("I5: while the heap is nearly full one comes for each that goes, and no more", async () => {
    const heap = { isHigh: false };
    const reserve = { isShort: false, size: 0 };
    const capacity = new Capacity(NONE, new LocalCounters(1), 1000, reserve, heap);
    const release = await capacity.acquireStream("10.0.0.1", true);
    await capacity.acquireStream("10.0.0.1", true);
    heap.isHigh = true;
    expect(refusal(() => capacity.acquireStream("10.0.0.2", true))).toBe("out_of_memory");
    release();
    expect(refusal(() => capacity.acquireStream("10.0.0.2", true))).toBeUndefined();
    expect(refusal(() => capacity.acquireStream("10.0.0.2", true))).toBe("out_of_memory");
    heap.isHigh = false;
    expect(refusal(() => capacity.acquireStream("10.0.0.2", true))).toBeUndefined();
  });
});
