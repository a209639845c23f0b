import { expect, test } from "vitest";
import { HeapWatch } from "../../../src/process/heap-watch.ts";

test("the heap is high from the second look at 85 %, or the first at 95 %, until its use is below 80 %", () => {
  const said: string[] = [];
  let use = 0;
  const listener = {
    onHeap: (isHigh: boolean) => void said.push(isHigh ? "high" : "low"),
    onHeapFull: () => void said.push("full"),
  };
  const heap = new HeapWatch(listener, () => use);
  const look = (next: number): string[] => {
    use = next;
    heap.look();
    return said.splice(0);
  };
  expect(look(0.5)).toEqual([]);
  // Most of it may be dead objects.
  expect(look(0.86)).toEqual([]);
  expect(look(0.6)).toEqual([]);
  expect(look(0.86)).toEqual([]);
  expect(look(0.86)).toEqual(["high"]);
  expect(look(0.82)).toEqual([]);
  expect(heap.isHigh).toBe(true);
  expect(look(0.96)).toEqual(["full"]);
  expect(look(0.79)).toEqual(["low"]);
  expect(look(0.96)).toEqual(["high", "full"]);
});
