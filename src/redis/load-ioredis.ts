import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** Loads ioredis at the first call: without Redis, the package would be a tenth of the CPU of a start. */
export function loadIoredis(): typeof import("ioredis") {
  return require("ioredis");
}
