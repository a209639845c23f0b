import { beforeAll, expect } from "vitest";

/**
 * Fails a file that begins with a timer that an earlier file of its worker has replaced: files of a worker share their
 * globals, and a fake timer lets a test wait for ever. A spy on a fake timer brings it back, if it is restored after it.
 */
const NAMES = ["setTimeout", "setInterval", "setImmediate", "clearTimeout", "Date", "performance"] as const;
const FIRST = Symbol.for("sluice.timers");
const known = globalThis as { [FIRST]?: readonly unknown[] };
known[FIRST] ??= NAMES.map((name) => globalThis[name]);

beforeAll(() => {
  expect(NAMES.filter((name, at) => globalThis[name] !== known[FIRST]?.[at])).toEqual([]);
});
