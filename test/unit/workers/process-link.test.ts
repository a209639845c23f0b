import { EventEmitter } from "node:events";
import { deserialize, serialize } from "node:v8";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConfigError } from "../../../src/config/problem.ts";
import { LinkError, type Peer, ProcessLink } from "../../../src/workers/process-link.ts";

/** One end of a channel that clones its messages, as node:child_process does. */
class End extends EventEmitter implements Peer {
  connected = true;
  other: End | undefined;
  readonly sent: unknown[] = [];

  send(message: unknown, done: () => void): void {
    const copy: unknown = deserialize(serialize(message));
    this.sent.push(copy);
    queueMicrotask(() => {
      if (this.connected) this.other?.emit("message", copy);
      done();
    });
  }

  break(): void {
    for (const end of [this, this.other]) {
      if (end === undefined) continue;
      end.connected = false;
      end.emit("disconnect");
    }
  }
}

interface Sums {
  add(numbers: readonly number[]): number;
  fail(how: string): Promise<never>;
  never(of: undefined): Promise<never>;
}

const any = { argument: () => true, answer: () => true };
const CHECKS = {
  add: { argument: Array.isArray, answer: (value: unknown) => typeof value === "number" },
  fail: any,
  never: any,
};

function linked() {
  const near = new End();
  const far = new End();
  near.other = far;
  far.other = near;
  const heard: unknown[] = [];
  const answers = {
    add: (numbers: readonly number[]) => {
      heard.push(numbers);
      return numbers.reduce((sum, each) => sum + each, 0);
    },
    fail: async (how: string): Promise<never> => {
      if (how === "function") throw Object.assign(new Error("holds a function"), { how: () => how });
      if (how === "config") throw new ConfigError([{ file: "f", at: undefined, key: "k", message: "m" }]);
      throw Object.assign(new Error("in use"), { code: "EADDRINUSE", port: 80 });
    },
    never: () => new Promise<never>(() => {}),
  };
  const invalid: string[] = [];
  const faults = {
    countInvalid: (kind: string, name: string) => void invalid.push(`${kind} ${name}`.trim()),
    onFault: (error: unknown) => void invalid.push(`fault ${error}`),
  };
  const far2near = new ProcessLink<Record<never, never>>(far, { answers, ours: CHECKS, theirs: {}, faults });
  const link = new ProcessLink<Sums>(near, { answers: {}, ours: {}, theirs: CHECKS, faults });
  return { near, far, heard, far2near, link, invalid };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("calls are answered in order, with values as a structured clone keeps them", async () => {
  const { link, heard } = linked();
  const sums = [
    link.call("add", [1, 2]),
    link.call("add", [3, Number.POSITIVE_INFINITY]),
    link.call("add", []),
  ];
  link.tell("add", [9]);
  expect(await Promise.all(sums)).toEqual([3, Number.POSITIVE_INFINITY, 0]);
  expect(heard).toEqual([[1, 2], [3, Number.POSITIVE_INFINITY], [], [9]]);
  expect(vi.getTimerCount()).toBe(0);
});

test("a message that is told gets no answer", async () => {
  const { link, far } = linked();
  link.tell("add", [1]);
  link.tell("fail", "");
  await link.call("add", []);
  expect(far.sent).toHaveLength(1);
});

test("an error arrives with its own properties, and a ConfigError as a ConfigError", async () => {
  const { link } = linked();
  await expect(link.call("fail", "")).rejects.toMatchObject({
    message: "in use",
    code: "EADDRINUSE",
    port: 80,
  });
  const error = await link.call("fail", "config").catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).problems).toEqual([{ file: "f", at: undefined, key: "k", message: "m" }]);
});

describe("calls without an answer", () => {
  test("calls reject when the channel breaks, and later calls reject at once", async () => {
    const { link, near } = linked();
    const waiting = link.call("never", undefined);
    near.break();
    await expect(waiting).rejects.toMatchObject({ name: "LinkError", isGone: true });
    await expect(link.call("add", [])).rejects.toMatchObject({ isGone: true });
    expect(() => link.tell("add", [])).not.toThrow();
    expect(link.isGone).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a call rejects when no answer comes in time, and a late answer is ignored", async () => {
    const { link, near } = linked();
    const error = link.call("never", undefined, 100).catch((reason: unknown) => reason);
    await vi.advanceTimersByTimeAsync(100);
    expect(await error).toBeInstanceOf(LinkError);
    expect(await error).toMatchObject({ isGone: false });
    near.emit("message", { sluice: "answer", id: 1, name: "never", value: 1 });
  });

  test("with 10,000 calls waiting, the next call rejects at once", async () => {
    const { link, near } = linked();
    const calls = Array.from({ length: 10_000 }, () => link.call("never", undefined).catch(() => {}));
    await expect(link.call("add", [])).rejects.toMatchObject({ message: "too many calls are waiting" });
    near.break();
    await Promise.all(calls);
  });
});

test("messages of other code and calls of unknown names have no effect", async () => {
  const { link, near, invalid } = linked();
  for (const message of [null, 1, "x", {}, { cmd: "NODE_CLUSTER" }]) near.emit("message", message);
  const stray = link as unknown as ProcessLink<{ toString(of: undefined): string }>;
  await expect(stray.call("toString", undefined)).rejects.toThrow("unknown call toString");
  expect(await link.call("add", [1])).toBe(1);
  expect(invalid).toEqual(["call"]);
});

test("an invalid argument is not answered, and an invalid answer rejects the call", async () => {
  const { link, near, heard, invalid } = linked();
  await expect(link.call("add", { length: 1 } as never)).rejects.toThrow("invalid argument of add");
  link.tell("add", 7 as never);
  await vi.advanceTimersByTimeAsync(1);
  expect(heard).toEqual([]);
  const calls = [link.call("never", undefined), link.call("add", [])] as const;
  const failures = calls.map((call) => call.catch((error: unknown) => error));
  near.emit("message", { sluice: "failure", id: 2, name: "never", value: null });
  near.emit("message", { sluice: "answer", id: 3, name: "add", value: "0" });
  expect(await failures[0]).toBeInstanceOf(LinkError);
  expect(await failures[1]).toBeInstanceOf(LinkError);
  expect(invalid.sort()).toEqual(["answer add", "argument add", "argument add", "failure never"]);
});

test("an error that cannot be cloned arrives with its message", async () => {
  const { link, invalid } = linked();
  await expect(link.call("fail", "function")).rejects.toThrow("holds a function");
  await expect(link.call("add", (() => []) as never)).rejects.toThrow("could not be cloned");
  expect(vi.getTimerCount()).toBe(0);
  expect(invalid).toEqual([]);
});

test("property: any message is handled without a throw, and the link goes on", async () => {
  const { link, near, far, invalid } = linked();
  const message = fc.record(
    {
      sluice: fc.oneof(fc.constantFrom("call", "tell", "answer", "failure", "new"), fc.anything()),
      id: fc.oneof(fc.integer({ min: -1, max: 9 }), fc.anything()),
      name: fc.oneof(fc.constantFrom("add", "fail", "toString", "__proto__"), fc.anything()),
      value: fc.anything(),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(message, fc.anything()), async (sent) => {
      const waiting = link.call("never", undefined, 1).catch(() => {});
      near.emit("message", sent);
      far.emit("message", sent);
      await vi.advanceTimersByTimeAsync(1);
      await waiting;
    }),
    { numRuns: 3_000 },
  );
  expect(await link.call("add", [1, 2])).toBe(3);
  expect(invalid.filter((kind) => kind.startsWith("fault"))).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
