import { expect, test } from "vitest";
import { PageSize } from "../../../src/redis/page-size.ts";

test("concurrent failures of one connection halve the size once", () => {
  const size = new PageSize(512);
  for (let read = 0; read < 5; read += 1) size.shrink(512);
  expect(size.entries).toBe(256);
  size.shrink(16);
  expect(size.entries).toBe(8);
});

test("the size never falls below one entry, and grows back to its maximum", () => {
  const size = new PageSize(512);
  for (let read = 0; read < 20; read += 1) size.shrink(size.entries);
  expect(size.entries).toBe(1);
  for (let read = 0; read < 100; read += 1) size.grow();
  expect(size.entries).toBe(512);
});

test("several full pages succeed before a larger one is tried", () => {
  const size = new PageSize(512);
  size.shrink(4);
  let pages = 0;
  for (; size.entries === 2; pages += 1) size.grow();
  expect(pages).toBeGreaterThanOrEqual(3);
});
