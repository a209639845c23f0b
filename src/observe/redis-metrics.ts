import { Counter, Gauge, type Registry } from "prom-client";

/** What a scrape tells of Redis. */
export interface RedisState {
  readonly isReady: boolean;
  /** Shared streams of which events are delivered before Redis has them. */
  readonly degraded: number;
  /** Data that had no form of this version's, by kind; the kinds are a fixed list. */
  readonly invalid: ReadonlyMap<string, number>;
}

/** Declares what is known of Redis, read at each scrape. */
export function declareRedis(registers: Registry[], redis: () => RedisState | undefined): void {
  new Gauge({
    name: "sluice_redis_up",
    help: "Whether Redis answers.",
    aggregator: "min",
    registers,
    collect() {
      this.set(redis()?.isReady === true ? 1 : 0);
    },
  });
  new Counter({
    name: "sluice_redis_invalid_total",
    help: "Answers and values of Redis that had no form of this version's and were skipped, by kind.",
    labelNames: ["kind"],
    registers,
    collect() {
      this.reset();
      for (const [kind, count] of redis()?.invalid ?? []) this.inc({ kind }, count);
    },
  });
  new Gauge({
    name: "sluice_shared_degraded",
    help: "Shared streams of which events are delivered before Redis has them, so that other instances may lack them.",
    registers,
    collect() {
      this.set(redis()?.degraded ?? 0);
    },
  });
}
