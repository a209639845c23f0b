import type { Capacity } from "../limits/capacity.ts";
import type { LlmMetrics } from "../observe/llm-metrics.ts";
import type { Log } from "../observe/log.ts";
import type { LoopGuard } from "../upstream/loop-guard.ts";
import type { HistoryBudget } from "./history-budget.ts";
import type { Store } from "./store.ts";

/** The services that all hubs of a gateway share. */
export interface HubContext {
  readonly store: Store;
  readonly budget: HistoryBudget;
  readonly capacity: Pick<Capacity, "backendFiles" | "checkBackendFile">;
  readonly log: Log;
  readonly loops: LoopGuard;
  readonly llm: LlmMetrics;
  /** Reports a fault in a callback that belongs to no client's exchange; `facts` say where it came from. */
  onFault(error: unknown, facts?: Readonly<Record<string, unknown>>): void;
}
