import { createRequire } from "node:module";
import util from "node:util";
import { expect, test } from "vitest";
import { withoutDeprecatedExtend } from "../../../../src/process/internals/deprecated-extend.ts";

const require = createRequire(import.meta.url);
const { _extend: deprecated } = util as unknown as { _extend: unknown };
const current = () => require("node:util")._extend;

test("Node has util._extend, which can be replaced and is restored", () => {
  expect(deprecated).toBeTypeOf("function");
  expect(withoutDeprecatedExtend(current)).toBe(Object.assign);
  expect(current()).toBe(deprecated);
  const fail = () => {
    throw new Error("not loaded");
  };
  expect(() => withoutDeprecatedExtend(fail)).toThrow("not loaded");
  expect(current()).toBe(deprecated);
});

test("http-proxy reads util._extend while it is loaded", () => {
  for (const path of Object.keys(require.cache))
    if (path.includes("/http-proxy/")) delete require.cache[path];
  let reads = 0;
  withoutDeprecatedExtend(() => {
    const own = require("node:util");
    Object.defineProperty(own, "_extend", {
      configurable: true,
      get: () => {
        reads++;
        return Object.assign;
      },
      set: (value) => void Object.defineProperty(own, "_extend", { value, writable: true }),
    });
    require("http-proxy");
  });
  expect(reads).toBeGreaterThan(0);
});
