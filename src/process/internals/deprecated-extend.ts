import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/**
 * Loads a CommonJS module with `Object.assign` in the place of `util._extend`, and restores Node's function before
 * anything else runs. Returns what `load` returns, and throws what it throws.
 *
 * - Assumed of Node 20, 22 and 24: `util._extend` is a writable property of the module that `require("node:util")`
 *   returns. Assumed of http-proxy 1.18.1: it reads the property once, while it is loaded.
 * - Without it: Node 22 and later print the deprecation warning DEP0060 at the first upgrade, and a Node that has
 *   removed the function cannot load http-proxy at all.
 * - Can go when http-proxy calls `Object.assign` itself, or is replaced.
 */
export function withoutDeprecatedExtend<T>(load: () => T): T {
  const util: { _extend: unknown } = require("node:util");
  const deprecated = util._extend;
  util._extend = Object.assign;
  try {
    return load();
  } finally {
    util._extend = deprecated;
  }
}
