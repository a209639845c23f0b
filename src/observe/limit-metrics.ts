import { Counter, type Registry } from "prom-client";

/** The decisions of one limit of a route, as plain numbers that a scrape reads. */
export interface LimitCounts {
  allowed: number;
  limited: number;
}

/** Counts the decisions of the limits of rates and tokens. */
export class LimitMetrics {
  /** By route and the name of the limit; counts outlive their limit, as a counter must. */
  readonly #limits = new Map<string, Map<string, LimitCounts>>();

  constructor(registers: Registry[]) {
    const limits = this.#limits;
    new Counter({
      name: "sluice_rate_limit_decisions_total",
      help: "Decisions of limits of rates and tokens, by limit: allowed or limited.",
      labelNames: ["route", "limit", "decision"],
      registers,
      collect() {
        this.reset();
        for (const [route, ofRoute] of limits) {
          for (const [limit, { allowed, limited }] of ofRoute) {
            this.inc({ route, limit, decision: "allowed" }, allowed);
            this.inc({ route, limit, decision: "limited" }, limited);
          }
        }
      },
    });
  }

  /** Returns the counts of a limit; those of an equal limit of an earlier configuration go on. */
  of(route: string, limit: string): LimitCounts {
    let ofRoute = this.#limits.get(route);
    if (ofRoute === undefined) {
      ofRoute = new Map();
      this.#limits.set(route, ofRoute);
    }
    const counts = ofRoute.get(limit) ?? { allowed: 0, limited: 0 };
    ofRoute.set(limit, counts);
    return counts;
  }
}
