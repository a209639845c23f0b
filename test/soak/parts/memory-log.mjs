import { appendFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Loaded into sluice before its own code: writes down the heap size after a garbage collection at intervals, because
 * only that shows growth rather than garbage.
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
