import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { queryObjects, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Loaded into each process of a gateway before its own code: on SIGUSR2, after a garbage collection, it writes down
 * the remaining sockets, timers, memory and, on request, exchanges. The admin listener does not show these.
 */
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
// Created at their first use; later they would look like leaked objects.
void [process.stdout, process.stderr];
const directory = process.env.MATRIX_DIRECTORY;
const { Exchange } = await import(process.env.MATRIX_EXCHANGE);

function activeResources() {
  const counts = {};
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** Walks the whole heap, which takes a third of a second on a busy machine. */
const heldExchanges = () => queryObjects(Exchange, { format: "count" });

process.on("SIGUSR2", () => {
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  const isDeep = existsSync(join(directory, "deep"));
  const state = {
    active: activeResources(),
    exchanges: isDeep ? heldExchanges() : 0,
    rss,
    heapUsed,
    external,
  };
  const path = join(directory, `${process.pid}.json`);
  writeFileSync(`${path}.new`, JSON.stringify(state));
  renameSync(`${path}.new`, path);
});
