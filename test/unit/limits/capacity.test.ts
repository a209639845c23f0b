import { describe, expect, test } from "vitest";
import { ProxyError } from "../../../src/base/errors.ts";
import { Capacity } from "../../../src/limits/capacity.ts";
import { CounterStoreUnavailable } from "../../../src/limits/counter-store.ts";
import { MemoryCounterStore } from "../../../src/limits/memory-counter-store.ts";

const NONE = { connections: undefined, streams: undefined, streamsPerClient: undefined };

const capacityOf = (limits: ConstructorParameters<typeof Capacity>[0], files?: number) =>
  new Capacity(limits, new MemoryCounterStore(1), files);

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
  test("beyond the limit, some connections are refused and further ones closed; a closed connection frees its place", () => {
    const capacity = capacityOf({ ...NONE, connections: 2 });
    const admissions = enterMany(capacity, 2 + 64 + 1);
    expect(admissions.slice(0, 2)).toEqual(["served", "served"]);
    expect(new Set(admissions.slice(2, 66))).toEqual(new Set(["refused"]));
    expect(admissions[66]).toBe("closed");
    for (let left = 0; left < 66; left++) capacity.leave("served");
    expect(capacity.enter()).toBe("served");
  });

  test("auto serves as many connections as there are files, less the reserve and the streams' backend connections", async () => {
    const capacity = capacityOf({ ...NONE, connections: "auto" }, 2000);
    const release = await capacity.takeStream("10.0.0.1", true);
    expect(enterMany(capacity, 1744).filter((admission) => admission === "served")).toHaveLength(1743);
    release();
    capacity.leave("served");
    expect(capacity.enter()).toBe("served");
  });

  test("auto with few files reserves a quarter of them", () => {
    const capacity = capacityOf({ ...NONE, connections: "auto" }, 100);
    expect(enterMany(capacity, 100).filter((admission) => admission === "served")).toHaveLength(75);
  });

  test("off sets no limit", () => {
    const capacity = capacityOf(NONE, 10);
    expect(new Set(enterMany(capacity, 1000))).toEqual(new Set(["served"]));
  });
});

describe("when the shared counters are unavailable", () => {
  const unavailable = () => Promise.reject(new CounterStoreUnavailable("the primary does not answer"));
  let own = 0;
  const connections = {
    get own() {
      return own;
    },
    take: () => {
      own++;
      return unavailable();
    },
    release: () => {},
  };
  const counters = { connections, places: () => ({ take: unavailable }) };

  test("the limit of connections holds for this process", async () => {
    const capacity = new Capacity({ ...NONE, connections: 2 }, counters);
    const admissions = [await capacity.enter(), await capacity.enter(), await capacity.enter()];
    expect(admissions).toEqual(["served", "served", "refused"]);
  });

  test("a stream is refused with a Retry-After", async () => {
    const capacity = new Capacity({ ...NONE, streams: 2 }, counters);
    const refused = Promise.resolve(capacity.takeStream("10.0.0.1", false));
    const fields = [["Retry-After", expect.any(String)]];
    await expect(refused).rejects.toMatchObject({ code: "too_many_streams", fields });
  });
});

describe("streams", () => {
  test("a limit holds for all routes together, and releasing a place twice frees one place", async () => {
    const capacity = capacityOf({ ...NONE, streams: 1 });
    const release = await capacity.takeStream("10.0.0.1", true);
    expect(refusal(() => capacity.takeStream("10.0.0.2", true))).toBe("too_many_streams");
    release();
    release();
    await capacity.takeStream("10.0.0.1", true);
    expect(refusal(() => capacity.takeStream("10.0.0.2", true))).toBe("too_many_streams");
  });

  test("each client has its own limit", async () => {
    const capacity = capacityOf({ ...NONE, streamsPerClient: 1 });
    await capacity.takeStream("10.0.0.1", true);
    expect(refusal(() => capacity.takeStream("10.0.0.1", true))).toBe("too_many_streams_of_client");
    expect(refusal(() => capacity.takeStream("10.0.0.2", true))).toBeUndefined();
  });

  test("with auto, a stream with its own backend connection needs one file more than one that shares it", () => {
    const capacity = capacityOf({ ...NONE, streams: "auto" }, 16);
    enterMany(capacity, 12);
    expect(refusal(() => capacity.takeStream("10.0.0.1", true))).toBe("too_many_streams");
    expect(refusal(() => capacity.takeStream("10.0.0.1", false))).toBeUndefined();
    capacity.leave("served");
    expect(refusal(() => capacity.takeStream("10.0.0.1", true))).toBeUndefined();
    expect(refusal(() => capacity.takeStream("10.0.0.1", true))).toBe("too_many_streams");
  });

  test("with auto, the file of a shared stream counts, and an idle one is released before a client is refused", () => {
    const capacity = capacityOf({ ...NONE, connections: "auto", streams: "auto" }, 16);
    const releases = Array.from({ length: 12 }, () => capacity.backendFiles.hold());
    expect(capacity.enter()).toBe("refused");
    expect(refusal(() => capacity.checkBackendFile())).toBe("too_many_streams");
    expect(refusal(() => capacity.takeStream("10.0.0.1", true))).toBe("too_many_streams");
    const ended: number[] = [];
    const idle = releases.map((release, at) =>
      capacity.backendFiles.offer(() => {
        ended.push(at);
        release();
        return true;
      }),
    );
    // A client uses the first connection again.
    idle[0]?.();
    expect(capacity.enter()).toBe("served");
    expect(ended).toEqual([1, 2]);
    expect(refusal(() => capacity.takeStream("10.0.0.1", true))).toBeUndefined();
    expect(refusal(() => capacity.checkBackendFile())).toBeUndefined();
    expect(ended).toEqual([1, 2, 3, 4]);
    expect(capacity.backendFiles.held).toBe(9);
  });

  test("a shared stream without a file is not ended to release one", () => {
    const capacity = capacityOf({ ...NONE, connections: "auto" }, 16);
    const release = capacity.backendFiles.hold();
    const asked: string[] = [];
    capacity.backendFiles.offer(() => asked.push("follows another instance") === 0);
    capacity.backendFiles.offer(() => {
      release();
      return asked.push("asks its backend") > 0;
    });
    expect(new Set(enterMany(capacity, 12))).toEqual(new Set(["served"]));
    expect(asked).toEqual(["follows another instance", "asks its backend"]);
    expect(capacity.enter()).toBe("refused");
  });

  test("releasing a file twice frees one file", () => {
    const { backendFiles } = capacityOf(NONE);
    const [first] = [backendFiles.hold(), backendFiles.hold()];
    first?.();
    first?.();
    expect(backendFiles.held).toBe(1);
  });

  test("a new limit counts the open streams", async () => {
    const capacity = capacityOf({ ...NONE, streams: 5 });
    const release = await capacity.takeStream("10.0.0.1", true);
    capacity.limits = { ...NONE, streams: 1 };
    expect(refusal(() => capacity.takeStream("10.0.0.2", true))).toBe("too_many_streams");
    release();
    expect(refusal(() => capacity.takeStream("10.0.0.2", true))).toBeUndefined();
  });

  test("while the heap is nearly full, a new stream is admitted only for each that has ended", async () => {
    const heap = { isHigh: false };
    const reserve = { isShort: false, size: 0 };
    const capacity = new Capacity(NONE, new MemoryCounterStore(1), 1000, reserve, heap);
    const release = await capacity.takeStream("10.0.0.1", true);
    await capacity.takeStream("10.0.0.1", true);
    heap.isHigh = true;
    expect(refusal(() => capacity.takeStream("10.0.0.2", true))).toBe("out_of_memory");
    release();
    expect(refusal(() => capacity.takeStream("10.0.0.2", true))).toBeUndefined();
    expect(refusal(() => capacity.takeStream("10.0.0.2", true))).toBe("out_of_memory");
    heap.isHigh = false;
    expect(refusal(() => capacity.takeStream("10.0.0.2", true))).toBeUndefined();
  });
});
