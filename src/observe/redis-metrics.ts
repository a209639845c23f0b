import { Counter, Gauge, type Registry } from "prom-client";

/** The state of Redis for a scrape. */
export interface RedisState {
  readonly isReady: boolean;
  /** The shared streams whose events are delivered before they are in Redis. */
  readonly degraded: number;
  /** Invalid replies and values, by kind; the kinds are a fixed list. */
  readonly invalid: ReadonlyMap<string, number>;
}

/** Declares the metrics of Redis, read at each scrape. */
export function declareRedis(registers: Registry[], redis: () => RedisState | undefined): void {
  new Gauge({
    name: "sluice_redis_up",
    help: "1 if Redis replies, else 0.",
    aggregator: "min",
    registers,
    collect() {
      this.set(redis()?.isReady === true ? 1 : 0);
    },
  });
  new Counter({
    name: "sluice_redis_invalid_total",
    help: "Invalid replies and values of Redis, which were skipped, by kind.",
    labelNames: ["kind"],
    registers,
    collect() {
      this.reset();
      for (const [kind, count] of redis()?.invalid ?? []) this.inc({ kind }, count);
    },
  });
  new Gauge({
    name: "sluice_shared_degraded",
    help: "Shared streams whose events are delivered before they are in Redis, so that other instances may lack them.",
    registers,
    collect() {
      this.set(redis()?.degraded ?? 0);
    },
  });
}
