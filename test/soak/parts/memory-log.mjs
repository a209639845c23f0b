import { appendFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Loaded into a sluice before its own code: writes down now and then what is left of its heap once everything
 * that can be collected is, because only that tells what grows from what is not collected yet.
 */
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
setInterval(() => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  appendFileSync(
    "memory.jsonl",
    `${JSON.stringify({ at: Date.now(), heapBytes: heapUsed, externalBytes: external })}\n`,
  );
}, Number(process.env.MEMORY_LOG_MS)).unref();
