import { isDeepStrictEqual } from "node:util";
import type { TracingConfig } from "../config/tracing-schema.ts";
import type { Log } from "../observe/log.ts";
import type { SpanQueue } from "./span-queue.ts";
import { SpanTally } from "./span-tally.ts";
import type { Tracing } from "./tracing.ts";

/** The longest time for the last spans of a closing gateway, in ms. */
export const MAX_FLUSH_MS = 1_000;

/** The tracing of a gateway over its reloads, and the spans that are still to be sent. */
export class Traces {
  /** The exported and the dropped spans. */
  readonly tally: SpanTally;
  readonly #filled = new Set<SpanQueue>();

  constructor(log: Log) {
    this.tally = new SpanTally(log);
  }

  /**
   * Returns the tracing for a configuration: `current` if it did not change, undefined for none. A request that began
   * before a reload is traced as it began.
   */
  async load(config: TracingConfig | null, current?: Tracing): Promise<Tracing | undefined> {
    if (config === null) return undefined;
    if (isDeepStrictEqual(config, current?.config)) return current;
    const { Tracing } = await import("./tracing.ts");
    return new Tracing(config, { tally: this.tally, filled: this.#filled });
  }

  /** Sends the last spans, within a second. */
  async close(): Promise<void> {
    await Promise.all([...this.#filled].map((queue) => queue.close(MAX_FLUSH_MS)));
  }
}
